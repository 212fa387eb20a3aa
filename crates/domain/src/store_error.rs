//! Storage failures, one type for all backends.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The meaning of a storage failure for the caller.
///
/// | kind | anything kept | replayed |
/// |---|---|---|
/// | [`Conflict`](Self::Conflict) | no | by the core, up to seven times |
/// | [`Unavailable`](Self::Unavailable) | no | by the caller, later |
/// | [`OutcomeUnknown`](Self::OutcomeUnknown) | perhaps | by the caller, if absence is accepted |
/// | the others | no | not before an operator has intervened |
///
/// Not exhaustive: treat an unknown kind as [`StoreErrorKind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The transaction was aborted because of another one. Nothing was kept, and an immediate
    /// replay is worthwhile: the core replays it a bounded number of times.
    Conflict,
    /// The store could not be reached or cannot take the change now (a wait timed out, no space
    /// left, no permission). Nothing was kept. The core does not replay it.
    Unavailable,
    /// The commit may or may not have happened. To reach a known state, repeat the removal
    /// with [`IfAbsent::Accept`](crate::IfAbsent::Accept).
    OutcomeUnknown,
    /// The stored data is invalid. The error's operation or source names the table and the key.
    Corrupt,
    /// The backend cannot work with this store, or does not offer this operation.
    Unsupported,
    /// Any other failure.
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

/// A failure of the storage: a question was not answered, or a transaction was not begun or ended.
///
/// It is never made from a [`Refusal`](crate::Refusal), which is an answer. All ports share this
/// type. It is displayed as `cannot OPERATION: KIND`; the cause is its [`source`](Error::source).
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
    // Shared rather than boxed, so that the error is `Clone`, as answers and explanations are.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Returns an error of a kind. `operation` completes the sentence "cannot …", for example with
    /// `read the members of chat 7`.
    pub fn new(kind: StoreErrorKind, operation: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, operation: operation.into(), source: None }
    }

    /// Sets the cause: the driver's error, or a text.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    /// Replaces the operation with one that says more to the caller.
    #[must_use]
    pub fn with_operation(self, operation: impl Into<Cow<'static, str>>) -> Self {
        Self { operation: operation.into(), ..self }
    }

    /// Returns the meaning of the failure.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Returns the operation that failed, such as `begin a transaction`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Returns this error and the whole chain of its causes on one line, joined by `: `.
    ///
    /// It is meant for logs and operators. Do not send it to clients: it may reveal details of the
    /// storage.
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
