//! Storage failures.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What a storage failure means to the caller.
///
/// Not exhaustive: treat a kind you do not know as [`StoreErrorKind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The transaction was aborted because of another one. Nothing was kept, and an immediate replay is worth while:
    /// the core does it a bounded number of times.
    Conflict,
    /// The store was not reached or cannot take the change now (a wait ran out, no space left, no permission).
    /// Nothing was kept. Not replayed by the core.
    Unavailable,
    /// The commit may or may not have happened. A caller who must know repeats the removal with
    /// [`IfAbsent::Accept`](crate::IfAbsent::Accept).
    OutcomeUnknown,
    /// What is stored breaks its own rules. The error's operation or source names table and key.
    Corrupt,
    /// The store is not one that this backend can work with, or the operation not one that it offers.
    Unsupported,
    /// Anything else.
    Other,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Conflict => "conflict with another transaction",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome unknown",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Other => "unexpected failure",
        })
    }
}

/// The storage failed: not an answer to the question, and never made of a refusal.
///
/// One type for all ports. It is displayed as `cannot OPERATION: KIND`; what lies beneath is its
/// [`source`](Error::source).
///
/// ```
/// use crm_chat_domain::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Unavailable, "begin a transaction")
///     .with_source("no lock within 5s");
/// assert_eq!(error.to_string(), "cannot begin a transaction: unavailable");
/// assert_eq!(error.report(), "cannot begin a transaction: unavailable: no lock within 5s");
/// ```
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Makes an error of a kind. `operation` continues the sentence "cannot …": `read the members of chat 7`.
    pub fn new(kind: StoreErrorKind, operation: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, operation: operation.into(), source: None }
    }

    /// Adds what lies beneath: the driver's error, or a text.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    /// Renames what could not be done, for a caller to whom the original name says too little.
    #[must_use]
    pub fn with_operation(self, operation: impl Into<Cow<'static, str>>) -> Self {
        Self { operation: operation.into(), ..self }
    }

    /// Returns what the failure means.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Returns what could not be done, such as `begin a transaction`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Returns the whole story on one line: this error and all that lies beneath, joined by `: `. For logs and
    /// operators; it may tell a client more than it should know.
    #[must_use]
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut next = self.source();
        while let Some(error) = next {
            report.push_str(": ");
            report.push_str(&error.to_string());
            next = error.source();
        }
        report
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.operation, self.kind)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
