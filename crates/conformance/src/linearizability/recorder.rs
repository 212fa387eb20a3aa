//! Records the operations of concurrent callers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crm_chat_domain::{StoreError, StoreErrorKind};

use crate::model::{Operation, Response};

/// An operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation.
    pub operation: Operation,
    /// The time of invocation.
    pub invoked_at: u64,
    /// The time of completion; `None` if the operation never completed because it was dropped or
    /// its process died.
    pub completed_at: Option<u64>,
    /// The outcome of an operation.
    pub completion: Completion,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The store responded.
    Ok(Response),
    /// The store failed. If the kind is *outcome unknown*, the operation may have taken effect at
    /// any time since its invocation; with any other kind it has not.
    Fail(StoreErrorKind),
    /// The operation never completed: it may have taken effect at any time since its invocation, or
    /// not at all.
    Indeterminate,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} // {}..", self.operation, self.invoked_at)?;
        if let Some(completed_at) = self.completed_at {
            write!(f, "{completed_at}")?;
        }
        match &self.completion {
            Completion::Ok(response) => write!(f, ": {response:?}"),
            Completion::Fail(kind) => write!(f, ": failed: {kind}"),
            Completion::Indeterminate => f.write_str(": never completed"),
        }
    }
}

/// The operations of all callers, in the order of their invocations. Displayed with one operation
/// per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
}

impl History {
    /// Creates a history from events in any order.
    #[must_use]
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.invoked_at);
        Self { events }
    }

    /// Returns the events in the order of their invocations.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_events(&self.events, f)
    }
}

/// Writes one event per line.
pub(super) fn write_events(events: &[Event], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    for event in events {
        write!(f, "{separator}{event}")?;
        separator = "\n";
    }
    Ok(())
}

/// A recorder of a history. Share it by reference between threads and tasks.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// Creates an empty recorder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stamps the invocation of an operation. Call it before calling the store, and complete the
    /// returned value after the store has responded. If the value is dropped instead, the operation
    /// stays indeterminate.
    pub fn invoke(&self, operation: Operation) -> Invocation<'_> {
        // Stamp the time under the lock, so that events are sorted by invocation.
        let mut events = self.events();
        let index = events.len();
        events.push(Event {
            operation,
            invoked_at: self.now(),
            completed_at: None,
            completion: Completion::Indeterminate,
        });
        Invocation { recorder: self, index }
    }

    /// Records an operation that `work` performs. If the future is dropped, the operation stays
    /// indeterminate.
    ///
    /// # Errors
    /// The error of `work`.
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

    /// Returns the operations recorded so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.events().clone())
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // A caller that panicked has left only whole events behind.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation in progress.
#[derive(Debug)]
#[must_use = "an operation that is not completed may or may not have taken effect"]
pub struct Invocation<'a> {
    recorder: &'a Recorder,
    index: usize,
}

impl Invocation<'_> {
    /// Stamps the completion of the operation with the response of the store.
    pub fn respond(self, response: Response) {
        self.complete(Completion::Ok(response));
    }

    /// Stamps the completion of the operation with the failure of the store.
    pub fn fail(self, kind: StoreErrorKind) {
        self.complete(Completion::Fail(kind));
    }

    fn complete(self, completion: Completion) {
        // Stamp the time before waiting for the lock: a later stamp would allow more orders.
        let completed_at = Some(self.recorder.now());
        let mut events = self.recorder.events();
        if let Some(event) = events.get_mut(self.index) {
            *event = Event {
                operation: event.operation.clone(),
                invoked_at: event.invoked_at,
                completed_at,
                completion,
            };
        }
    }
}
