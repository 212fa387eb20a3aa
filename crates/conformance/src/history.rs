//! Records what callers do to a store at once, and looks for a serial order.
//!
//! A [`Recorder`] stamps the beginning and the end of each operation. [`check`] then looks for one order of the recorded
//! operations, as if each had been done alone, that respects real time (what ended before another began comes before
//! it), in which the [model](crate::model) responds as the store did, and which ends in what the store holds at last. It is
//! the search of Wing and Gong, and remembers where it has been.
//!
//! ```
//! use crm_chat_conformance::history::{Recorder, check};
//! use crm_chat_conformance::model::{Operation, Response};
//! use crm_chat_domain::{Edit, Snapshot, UserId};
//!
//! let recorder = Recorder::new();
//! let joins = Operation::Edit(Edit::ActivateUser { user: UserId::MIN });
//! recorder.invoke(joins).respond(Response::Edited(Ok(()))); // a store that knows users nobody added
//!
//! let nobody = Snapshot::default();
//! let error = check(&nobody, &recorder.history(), &nobody).unwrap_err();
//! assert!(error.to_string().contains("the model responds Edited(Err(UnknownUser(UserId(1))))"));
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crm_chat_domain::{StoreError, StoreErrorKind};

use crate::model::{Operation, Response};

mod bits;
mod search;
#[cfg(test)]
mod tests;

pub use search::{NoSerialOrder, SerialOrder, check};

/// One operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was done.
    pub operation: Operation,
    /// When it began.
    pub began: u64,
    /// When it ended; `None` if it never did: it was dropped, or its process died.
    pub ended: Option<u64>,
    /// What came of it.
    pub ending: Ending,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The store responded.
    Responded(Response),
    /// The store failed. Of *outcome unknown* the operation may have happened at any time since it began; of any other
    /// kind it has not.
    Failed(StoreErrorKind),
    /// It never ended: the operation may have happened at any time since it began, or not at all.
    Open,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} // {}..", self.operation, self.began)?;
        if let Some(ended) = self.ended {
            write!(f, "{ended}")?;
        }
        match &self.ending {
            Ending::Responded(response) => write!(f, ": {response:?}"),
            Ending::Failed(kind) => write!(f, ": failed: {kind}"),
            Ending::Open => f.write_str(": never ended"),
        }
    }
}

/// What callers did, in the order in which the operations began. It is displayed one operation a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
}

impl History {
    /// Makes a history of events in any order.
    #[must_use]
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.began);
        Self { events }
    }

    /// Returns the events, in the order in which they began.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for event in &self.events {
            write!(f, "{separator}{event}")?;
            separator = "\n";
        }
        Ok(())
    }
}

/// Records a history. Share it by reference among threads and tasks.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// Makes a recorder of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stamps the beginning of an operation. Call it before the store is asked, and end what it returns after the store
    /// responded. If that is dropped instead, the operation has no end.
    pub fn invoke(&self, operation: Operation) -> Invocation<'_> {
        let mut events = self.events();
        let place = events.len();
        events.push(Event { operation, began: self.now(), ended: None, ending: Ending::Open });
        Invocation { recorder: self, place }
    }

    /// Records an operation that `work` does. Dropping the future leaves the operation without an end.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn record(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<Response, StoreError>>,
    ) -> Result<Response, StoreError> {
        let invocation = self.invoke(operation);
        let result = work.await;
        match &result {
            Ok(response) => invocation.respond(response.clone()),
            Err(error) => invocation.fail(error.kind()),
        }
        result
    }

    /// Returns what was recorded so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.events().clone())
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // A caller that panicked left whole events behind.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation that has begun.
#[derive(Debug)]
#[must_use = "an operation that is not ended may have happened or not"]
pub struct Invocation<'a> {
    recorder: &'a Recorder,
    place: usize,
}

impl Invocation<'_> {
    /// Stamps the end of the operation: the store responded.
    pub fn respond(self, response: Response) {
        self.end(Ending::Responded(response));
    }

    /// Stamps the end of the operation: the store failed.
    pub fn fail(self, kind: StoreErrorKind) {
        self.end(Ending::Failed(kind));
    }

    fn end(self, ending: Ending) {
        let ended = Some(self.recorder.now());
        let mut events = self.recorder.events();
        if let Some(event) = events.get_mut(self.place) {
            *event =
                Event { operation: event.operation.clone(), began: event.began, ended, ending };
        }
    }
}
