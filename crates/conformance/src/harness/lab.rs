//! Where one case runs.

use std::sync::mpsc::Sender;

use crm_chat_domain::{Answer, Outcome, RemoveError, Snapshot, StoreError, StoreErrorKind};

use crate::{Case, Harness, Subject};

/// Where one case runs: the harness, and what to say when the backend fails.
#[derive(Debug)]
pub struct Lab<H> {
    harness: H,
    case: Case,
    /// Told of every step: the case goes on.
    steps: Sender<Step>,
}

/// A step of a case.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// It opened a store that holds a world.
    Opened(Snapshot),
    /// It added a line to the account of what was done to that.
    Noted(String),
}

impl<H: Harness> Lab<H> {
    /// Sets up a lab for a case.
    pub(crate) const fn new(harness: H, case: Case, steps: Sender<Step>) -> Self {
        Self { harness, case, steps }
    }

    /// Says that the case goes on.
    pub(super) fn goes_on(&self, step: Step) {
        // Nobody listens once the patience has run out.
        let _ = self.steps.send(step);
    }

    /// Returns the harness.
    pub const fn harness(&self) -> &H {
        &self.harness
    }

    /// Returns the case.
    pub const fn case(&self) -> Case {
        self.case
    }

    /// Opens a new store that holds a world.
    pub fn open(&self, world: &Snapshot) -> Subject<'_, H> {
        self.goes_on(Step::Opened(world.clone()));
        Subject::new(self, world)
    }

    /// Opens a new store for every item, in turn: the same test in several places of a world.
    pub(crate) fn each<T>(
        &self,
        world: &Snapshot,
        items: impl IntoIterator<Item = T>,
        test: impl Fn(&Subject<'_, H>, T),
    ) {
        for item in items {
            test(&self.open(world), item);
        }
    }
}

/// What came of a removal, to be compared: an answer, or the kind of a storage failure.
pub type Reply = Result<Answer, StoreErrorKind>;

/// Makes a reply of what `remove_user` returns, and the failure's whole story.
pub(crate) fn reply(came: Result<Outcome, RemoveError>) -> (Reply, Option<StoreError>) {
    match came {
        Ok(outcome) => (Ok(Ok(outcome)), None),
        Err(RemoveError::Refused(refusal)) => (Ok(Err(refusal)), None),
        Err(RemoveError::Store(error)) => (Err(error.kind()), Some(error)),
    }
}
