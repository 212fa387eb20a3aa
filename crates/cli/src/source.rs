//! The input of a command.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use crate::console::Console;
use crate::error::CommandError;

/// A file to read, or standard input.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// Opens the source. If it is a terminal, notes that the program is waiting for input.
    pub(crate) fn open(
        &self,
        console: &mut Console<'_>,
    ) -> Result<Box<dyn Read + Send>, CommandError> {
        match self {
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    console.note("reading from standard input; press Ctrl-D to end");
                }
                Ok(Box::new(io::stdin()))
            }
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(self.read_error(&error)),
            },
        }
    }

    /// Returns the size in bytes, if the source is a regular file.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                let metadata = path.metadata().ok()?;
                metadata.is_file().then_some(metadata.len())
            }
        }
    }

    /// Converts an error of opening or reading the source.
    pub(crate) fn read_error(&self, error: &io::Error) -> CommandError {
        CommandError::failed(format_args!("cannot read {self}: {error}"))
    }
}

impl From<OsString> for Source {
    fn from(file: OsString) -> Self {
        if file == "-" { Self::Stdin } else { Self::File(file.into()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}
