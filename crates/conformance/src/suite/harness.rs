//! The interface between the suite and a backend.

use std::time::Duration;

use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store};

/// The suite's access to a backend.
///
/// A method whose return type has no error panics if it fails: write `unwrap`. The crate's front
/// page has a complete example.
pub trait Harness: Send + Sync + 'static {
    /// The location of one store's data, which cleans up when it is dropped: a temporary directory,
    /// a database schema, or the store itself.
    type Fixture: Send + Sync + 'static;

    /// The store under test. Each value is one handle.
    type Store: Store + 'static;

    /// Creates a new store, separate from all others, that holds exactly `world`.
    fn set_up(&self, world: &Snapshot) -> impl Future<Output = Self::Fixture> + Send;

    /// Opens another handle on the data, as independent of the other handles as the backend allows:
    /// a connection or a process of its own. Handles that share a connection cannot show whether
    /// transactions are isolated.
    fn connect(&self, fixture: &Self::Fixture) -> impl Future<Output = Self::Store> + Send;

    /// Applies an edit in a transaction of its own.
    ///
    /// # Errors
    /// As documented by the backend. The suite retries after a *conflict*.
    fn edit(
        &self,
        store: &Self::Store,
        edit: &Edit,
    ) -> impl Future<Output = Result<(), EditError>> + Send;

    /// Returns the committed data, read in one transaction and [sorted](Snapshot::sort).
    fn dump(&self, store: &Self::Store) -> impl Future<Output = Snapshot> + Send;

    /// Returns all records of the removal log with a number above `after`, lowest first.
    fn log(&self, store: &Self::Store, after: u64) -> impl Future<Output = Vec<LogEntry>> + Send;

    /// Corrupts the storage so that the members of a chat cannot be read, for example by dropping
    /// the table or garbling the rows. Returns whether it did.
    ///
    /// The default does nothing and returns `false`; the case that uses it then checks less.
    fn corrupt(&self, fixture: &Self::Fixture) -> impl Future<Output = bool> + Send {
        let _ = fixture;
        std::future::ready(false)
    }

    /// Runs a future to completion on the current thread.
    ///
    /// The suite calls it from several threads at once, many times for one store, and never from
    /// within itself. Every call to the store is made, and every transaction dropped, inside it;
    /// handles may be dropped outside. A backend that is bound to a runtime overrides it with one
    /// that outlives the harness's stores.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }

    /// Returns how long one participant of a race waits for the other to reach the sync point.
    ///
    /// It then continues alone, as it must if the other waits for a lock. The timeout lengthens the
    /// run and never decides a result. If it is too short for a slow backend, races find less.
    fn rendezvous_timeout(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Returns how long a case may run without taking a step. A case that exceeds it fails: either
    /// a lock was leaked, or two transactions wait for each other.
    fn case_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }
}
