//! Where one case runs.

use std::sync::mpsc::Sender;

use crm_chat_domain::{Answer, Outcome, RemoveError, Snapshot, StoreError, StoreErrorKind};

use crate::{Case, Harness, Subject};

/// Where one case runs: the harness, and what to say when the backend fails.
#[derive(Debug)]
pub struct Lab<H> {
    harness: H,
    case: Case,
    /// Told whenever a store is opened: the case goes on.
    alive: Sender<()>,
}

impl<H: Harness> Lab<H> {
    /// Sets up a lab for a case.
    pub(crate) const fn new(harness: H, case: Case, alive: Sender<()>) -> Self {
        Self {
            harness,
            case,
            alive,
        }
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
        // Nobody listens once the patience has run out.
        let _ = self.alive.send(());
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
