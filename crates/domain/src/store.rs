//! Transactions and where they come from.

use std::future::{Future, ready};
use std::sync::Arc;

use crate::{ChatRepo, CrmRepo, Permissions, Removal, StoreError, UserId, UserRepo};

/// What ends a transaction.
///
/// An implementation:
/// - MUST roll back when it is dropped before `commit` was first polled, and leave no lock behind;
/// - MUST, when a `commit` is dropped after it was first polled, leave the transaction whole or absent;
/// - MUST fail the `commit` of a transaction that the storage has aborted, whatever was answered meanwhile;
/// - MUST make the transactions serialisable, those that only read among them.
pub trait UnitOfWork: Send + Sized {
    /// Says what is about to be asked, so that a networked backend may fetch it in one go. Does nothing by default.
    ///
    /// A failure to fetch is kept until the rules ask for the fact: they may decide before they reach it.
    fn announce(&mut self, actor: UserId, removal: &Removal) -> impl Future<Output = ()> + Send {
        let _ = (actor, removal);
        ready(())
    }

    /// Keeps what the transaction did.
    ///
    /// # Errors
    /// [`StoreErrorKind::OutcomeUnknown`](crate::StoreErrorKind::OutcomeUnknown) if it may have been kept all the same;
    /// with every other kind nothing was kept.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives up what the transaction did.
    ///
    /// # Errors
    /// [`StoreError`] if the storage did not confirm. Nothing is kept all the same.
    fn rollback(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A unit of work that answers the four ports. Implemented for every type that can be one.
///
/// Each question is asked with its whole context, at most once for each removal, and never cached by the core. Absence
/// is data (`Option`, `bool`); an error is for a question that could not be answered.
///
/// Implement the methods of the ports as plain `async fn`. Keep what is not `Send` (a driver's statement, a cell) in a
/// sync helper that returns before the next `.await`, or the compiler will refuse the implementation.
pub trait Transaction: UnitOfWork + ChatRepo + CrmRepo + UserRepo + Permissions {}

impl<T: UnitOfWork + ChatRepo + CrmRepo + UserRepo + Permissions> Transaction for T {}

/// Begins transactions. A handle: share it by reference, [`Arc`] or its own `Clone`.
pub trait Store: Send + Sync {
    /// The transaction. It owns what it needs: dropping it rolls back.
    type Tx: Transaction + 'static;

    /// Begins a transaction. Dropping the future leaves no transaction and no lock behind.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`](crate::StoreErrorKind::Unavailable) if the store was not reached or a wait ran
    /// out; others as the backend says.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Begins a transaction that only reads: [`begin`](Self::begin) by default.
    ///
    /// It has the same isolation. A backend may make it cheaper, such as a snapshot that takes no write lock and waits
    /// for no writer; then a write in it MUST fail as
    /// [`StoreErrorKind::Unsupported`](crate::StoreErrorKind::Unsupported). [`explain`](crate::explain) uses it.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    fn begin_read(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send {
        self.begin()
    }

    /// Waits before the `attempt`-th replay of a conflict, counted from 1. Ready at once by default: adapters have
    /// clocks, the core has none.
    fn backoff(&self, attempt: u32) -> impl Future<Output = ()> + Send {
        let _ = attempt;
        ready(())
    }
}

impl<S: Store> Store for Arc<S> {
    type Tx = S::Tx;

    fn begin(&self) -> impl Future<Output = Result<S::Tx, StoreError>> + Send {
        S::begin(self)
    }

    fn begin_read(&self) -> impl Future<Output = Result<S::Tx, StoreError>> + Send {
        S::begin_read(self)
    }

    fn backoff(&self, attempt: u32) -> impl Future<Output = ()> + Send {
        S::backoff(self, attempt)
    }
}
