//! What the suite asks of a backend's author.

use std::time::Duration;

use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store};

mod abandon;
mod lab;
mod perform;
mod race;
mod subject;

pub use abandon::{Abandoned, abandon_after};
pub(crate) use lab::Step;
pub use lab::{Lab, Reply};
pub use perform::{perform, perform_through};
pub(crate) use race::{Order, Point, Race, Side};
pub use subject::Subject;
pub(crate) use subject::{opening, panic_text, written_call, written_request};

/// How the suite gets at a backend.
///
/// The methods that cannot fail by their type panic when they fail: write `unwrap`. The crate's front page has a whole example.
pub trait Harness: Send + Sync + 'static {
    /// Where the data of one store lies, and the guard that cleans up when it is dropped: a temporary directory, a
    /// schema of its own, or the store itself.
    type Place: Send + Sync + 'static;

    /// The store under test: a handle.
    type Store: Store + 'static;

    /// Makes a new store, apart from all others, that holds exactly `world`.
    fn create(&self, world: &Snapshot) -> impl Future<Output = Self::Place> + Send;

    /// Opens one more handle on the data: as independent of the others as the backend allows, a connection or a process
    /// of its own. A suite on one handle shows nothing about isolation.
    fn connect(&self, place: &Self::Place) -> impl Future<Output = Self::Store> + Send;

    /// Makes a single change, in a transaction of its own.
    ///
    /// # Errors
    /// As the backend says. The suite repeats a *conflict*.
    fn edit(
        &self,
        store: &Self::Store,
        edit: &Edit,
    ) -> impl Future<Output = Result<(), EditError>> + Send;

    /// Returns what is committed, read in one transaction, [sorted](Snapshot::sort).
    fn dump(&self, store: &Self::Store) -> impl Future<Output = Snapshot> + Send;

    /// Returns all records of the removal log that are numbered above `after`, lowest first.
    fn log(&self, store: &Self::Store, after: u64) -> impl Future<Output = Vec<LogEntry>> + Send;

    /// Makes the storage unable to tell who is a member of a chat (drops the table, garbles the rows), and says whether
    /// it did. By default it cannot, and the case that needs it has less to show.
    fn damage(&self, place: &Self::Place) -> impl Future<Output = bool> + Send {
        let _ = place;
        std::future::ready(false)
    }

    /// Runs a future to its end on this thread. Called from several threads at once, many times for one store, and never
    /// from within itself. All calls are made, and all transactions dropped, inside it; handles are dropped anywhere.
    /// A backend bound to a runtime overrides it with one that outlives the harness's stores.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }

    /// Returns how long one side of a race waits for the other to catch up before it goes on alone, as it must where
    /// the other waits for a lock. It lengthens the run and never decides a result; too short a time makes the races
    /// of a slow backend show less.
    fn grace(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Returns after how long a case that does not go on to its next step has failed: a lock was left, or two
    /// transactions wait for each other.
    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }
}
