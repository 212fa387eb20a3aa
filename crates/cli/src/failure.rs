//! Why a command did not do what it was asked.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crm_chat_domain::{Refusal, StoreError, StoreErrorKind};

/// What a command says when it ends otherwise than well, and its exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    /// `None` if there is nobody to tell.
    message: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// A rule said no, or a single change names what is not there.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(1, format!("refused: {message}"))
    }

    /// The input could not be read or made sense of.
    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::new(2, format!("error: {message}"))
    }

    fn new(status: u8, message: String) -> Self {
        Self { status, message: Some(message), hint: None }
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says that the output broke off before the command was through.
    pub(crate) fn unfinished(self) -> Self {
        Self { status: 2, ..self }
    }

    pub(crate) fn print(&self, err: &mut dyn Write) {
        let Some(message) = &self.message else {
            return;
        };
        let _ = writeln!(err, "{message}");
        if let Some(hint) = &self.hint {
            let _ = writeln!(err, "hint: {hint}");
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::refused(format_args!("{}: {refusal}", refusal.code()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::new(3, format!("error: {}", error.report()));
        match error.kind() {
            StoreErrorKind::OutcomeUnknown => {
                failure.with_hint("the change may have been made; look before you repeat it")
            }
            _ => failure,
        }
    }
}

/// The output could not be written. If its reader left, it is content with what it got.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            Self { status: 0, message: None, hint: None }
        } else {
            Self::input(format_args!("cannot write to standard output: {error}"))
        }
    }
}
