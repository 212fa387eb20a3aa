//! Where a command reads from.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use crate::console::Console;
use crate::failure::Failure;

/// A file, or standard input.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// Opens it; tells whoever sits at a keyboard that they are waited for.
    pub(crate) fn open(&self, console: &mut Console<'_>) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    console.note("reading from standard input; Ctrl-D ends it");
                }
                Ok(Box::new(io::stdin()))
            }
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(self.unreadable(&error)),
            },
        }
    }

    /// Returns how many bytes there are to read, if that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                let metadata = path.metadata().ok()?;
                metadata.is_file().then_some(metadata.len())
            }
        }
    }

    pub(crate) fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::input(format_args!("cannot read {self}: {error}"))
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
