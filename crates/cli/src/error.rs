//! The error type of commands.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crm_chat_domain::{Refusal, StoreError, StoreErrorKind};

/// The error returned when a command did not succeed: the exit status, and the message to print.
#[derive(Debug)]
pub(crate) struct CommandError {
    exit_status: u8,
    /// `None` if the program ends without a message.
    message: Option<String>,
    hint: Option<String>,
}

impl CommandError {
    /// The exit status of a refusal.
    pub(crate) const REFUSED: u8 = 1;
    /// The exit status of bad usage, unreadable input and unwritable output. Clap uses it too.
    const FAILED: u8 = 2;
    /// The exit status of a storage failure.
    const STORE_FAILED: u8 = 3;

    /// Returns an error for a command that was refused, by a rule or due to the store's content.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Self::REFUSED, format!("refused: {message}"))
    }

    /// Returns an error for an argument, a file or a stream that cannot be used.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Self::FAILED, format!("error: {message}"))
    }

    fn new(exit_status: u8, message: String) -> Self {
        Self { exit_status, message: Some(message), hint: None }
    }

    /// Adds advice for the user.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Turns the silent success of a closed output into an error, because the command is not done.
    pub(crate) fn incomplete(self) -> Self {
        Self { exit_status: Self::FAILED, ..self }
    }

    pub(crate) fn exit_status(&self) -> u8 {
        self.exit_status
    }

    /// Prints the message and the hint.
    pub(crate) fn print(&self, err: &mut dyn Write) {
        let Some(message) = &self.message else {
            return;
        };
        // There is no other stream to report a failure on; the exit status is what remains.
        let _ = writeln!(err, "{message}");
        if let Some(hint) = &self.hint {
            let _ = writeln!(err, "hint: {hint}");
        }
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::refused(format_args!("{}: {refusal}", refusal.code()))
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let failed = Self::new(Self::STORE_FAILED, format!("error: {}", error.report()));
        match error.kind() {
            StoreErrorKind::OutcomeUnknown => {
                failed.with_hint("the change may have been made; check before you repeat it")
            }
            _ => failed,
        }
    }
}

/// Converts an error of writing to standard output.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            // The reader has closed the pipe, as `head` does, because it needs no more.
            Self { exit_status: 0, message: None, hint: None }
        } else {
            Self::failed(format_args!("cannot write to standard output: {error}"))
        }
    }
}
