//! `transact`, `transact_read` and `remove_in`: removals inside a caller's own unit of work.

use std::sync::atomic::{AtomicU32, Ordering};

use crm_chat_conformance::fixtures::{office, removal, user};
use crm_chat_domain::{
    Answer, Outcome, Refusal, Request, Store, StoreError, StoreErrorKind, Transaction, UserId,
    Work, explain, remove_in, transact, transact_read,
};
use crm_chat_memory::{Memory, MemoryTransaction};
use futures_lite::future::block_on;

/// A store that counts both kinds of `begin`, and whose first `conflicts` transactions conflict.
struct Counting {
    store: Memory,
    conflicts: AtomicU32,
    begun: AtomicU32,
    begun_to_read: AtomicU32,
}

impl Counting {
    fn new(conflicts: u32) -> Self {
        let store = Memory::new();
        block_on(store.load(&office())).unwrap();
        Self {
            store,
            conflicts: AtomicU32::new(conflicts),
            begun: AtomicU32::new(0),
            begun_to_read: AtomicU32::new(0),
        }
    }

    /// Returns the number of transactions begun to write, and of those begun to read.
    fn begun(&self) -> (u32, u32) {
        (self.begun.load(Ordering::SeqCst), self.begun_to_read.load(Ordering::SeqCst))
    }

    fn records(&self) -> usize {
        block_on(self.store.dump()).removals.len()
    }

    async fn inner(&self) -> Result<MemoryTransaction, StoreError> {
        if self
            .conflicts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(StoreError::new(StoreErrorKind::Conflict, "begin a transaction"));
        }
        self.store.begin().await
    }
}

impl Store for Counting {
    type Tx = MemoryTransaction;

    async fn begin(&self) -> Result<MemoryTransaction, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.inner().await
    }

    async fn begin_read(&self) -> Result<MemoryTransaction, StoreError> {
        self.begun_to_read.fetch_add(1, Ordering::SeqCst);
        self.inner().await
    }
}

/// Removes user 12 twice in one transaction, if the actor is active.
struct RemoveTwice {
    actor: UserId,
}

impl<T: Transaction> Work<T> for RemoveTwice {
    type Output = Option<[Answer; 2]>;

    async fn run(&self, tx: &mut T) -> Result<Self::Output, StoreError> {
        if !tx.is_active(self.actor).await? {
            return Ok(None);
        }
        let first = remove_in(tx, self.actor, &removal(12)).await?;
        let again = remove_in(tx, self.actor, &removal(12)).await?;
        Ok(Some([first, again]))
    }
}

/// Reads the state of a user; true if active.
struct IsActive(UserId);

impl<T: Transaction> Work<T> for IsActive {
    type Output = bool;

    async fn run(&self, tx: &mut T) -> Result<bool, StoreError> {
        tx.is_active(self.0).await
    }
}

/// Removes user 12, then fails.
struct RemoveAndFail;

impl<T: Transaction> Work<T> for RemoveAndFail {
    type Output = ();

    async fn run(&self, tx: &mut T) -> Result<(), StoreError> {
        let answer = remove_in(tx, user(1), &removal(12)).await?;
        assert!(matches!(answer, Ok(Outcome::Removed(_))), "{answer:?}");
        Err(StoreError::new(StoreErrorKind::Unavailable, "write the outbox"))
    }
}

#[test]
fn removals_of_one_unit_of_work_see_each_other_and_commit_together() {
    let store = Counting::new(0);
    let answers = block_on(transact(&store, &RemoveTwice { actor: user(1) })).unwrap().unwrap();
    assert!(matches!(answers[0], Ok(Outcome::Removed(_))), "{answers:?}");
    assert!(matches!(answers[1], Err(Refusal::NotAMember { .. })), "{answers:?}");
    assert_eq!(store.begun(), (1, 0));
    assert_eq!(store.records(), office().removals.len() + 1);
}

#[test]
fn unit_of_work_may_decide_before_the_rules_do() {
    let store = Counting::new(0);
    let answers = block_on(transact(&store, &RemoveTwice { actor: user(999) })).unwrap();
    assert!(answers.is_none(), "{answers:?}");
    assert_eq!(store.records(), office().removals.len());
}

#[test]
fn failed_unit_of_work_keeps_nothing() {
    let store = Counting::new(0);
    let before = block_on(store.store.dump());
    let error = block_on(transact(&store, &RemoveAndFail)).unwrap_err();
    assert_eq!(error.report(), "cannot write the outbox: unavailable");
    assert_eq!(block_on(store.store.dump()), before);
}

#[test]
fn conflicts_are_replayed_in_transactions_of_the_same_kind() {
    let store = Counting::new(2);
    assert!(block_on(transact(&store, &IsActive(user(1)))).unwrap());
    assert_eq!(store.begun(), (3, 0));

    let store = Counting::new(7);
    assert!(block_on(transact_read(&store, &IsActive(user(1)))).unwrap());
    assert_eq!(store.begun(), (0, 8));

    let store = Counting::new(8);
    let error = block_on(transact_read(&store, &IsActive(user(1)))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert_eq!(store.begun(), (0, 8));
}

#[test]
fn explanation_is_given_from_a_read_transaction() {
    let store = Counting::new(1);
    let request = Request { user_id: 12.into(), ..Request::default() };
    block_on(explain(&store, user(1), &request)).unwrap();
    assert_eq!(store.begun(), (0, 2));
}

/// Compiles only if the future of a generic unit of work may move between threads.
#[test]
fn unit_of_work_over_any_store_can_be_spawned() {
    fn assert_send<F: Future + Send>(future: F) -> F {
        future
    }
    async fn ask<S: Store>(store: &S) -> Result<bool, StoreError> {
        assert_send(transact_read(store, &IsActive(user(1)))).await
    }
    assert!(block_on(ask(&Counting::new(0))).unwrap());
}
