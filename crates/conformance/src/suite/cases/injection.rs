//! A removal whose port calls are known by number, for cases that make each one fail in turn.

use crm_chat_domain::{
    Answer, Change, Outcome, OwnerChange, Removal, Snapshot, StoreErrorKind, UserId,
};

use crate::doubles::{Fault, Faulty, PortCall};
use crate::fixtures::{after, change, chat, office, removal, user};
use crate::model::Model;
use crate::suite::harness::Harness;
use crate::suite::perform::RemovalReply;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;
use crate::suite::transcript;

/// The kinds of failure that the core does not retry.
pub(super) const PERMANENT_KINDS: [StoreErrorKind; 5] = [
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

/// Returns the change made by the removals. It removes an owner, which takes the most port calls.
pub(super) fn owner_leaves() -> Change {
    change(7, OwnerChange::PassesTo(user(13)))
}

/// Returns the office after that change.
pub(super) fn office_without_owner() -> Snapshot {
    after(&office(), &owner_leaves())
}

/// A removal and one of its port calls, with the call's number from 1.
#[derive(Clone, Copy)]
pub(super) struct NumberedCall {
    pub(super) removal: Removal,
    pub(super) n: usize,
    pub(super) call: PortCall,
}

/// Returns every port call of the removal from the last chat and of the one from the chat by id.
/// The first queries the last chat, the second the link.
pub(super) fn numbered_calls<H: Harness>(cx: &TestContext<H>) -> Vec<NumberedCall> {
    let calls_of = |removal: Removal| {
        let test_store = cx.open(&office());
        let store = Faulty::new(test_store.connect());
        let actual = test_store.remove_with(&store, user(1), &removal);
        let expected = Outcome::Removed(owner_leaves());
        test_store.assert_eq("the answer", &Ok(Ok(expected)), &actual);
        let numbered = (1..).zip(store.calls());
        numbered.map(move |(n, call)| NumberedCall { removal, n, call })
    };
    [removal(7), removal(7).in_chat(chat(8773))].into_iter().flat_map(calls_of).collect()
}

/// Returns the number of the commit, which is the last call of the removal from the last chat.
pub(super) fn commit_number<H: Harness>(cx: &TestContext<H>) -> usize {
    let calls = numbered_calls(cx).into_iter();
    calls.filter(|numbered| numbered.removal.chat.is_none()).count()
}

/// A batch, and what the model says about it.
pub(super) struct ModelledBatch {
    /// Three removals. The second one is refused.
    pub(super) requests: [(UserId, Removal); 3],
    pub(super) answers: Vec<Answer>,
    /// The office after the batch.
    pub(super) state: Snapshot,
}

pub(super) fn batch() -> ModelledBatch {
    let mut model = Model::new(office());
    let requests = [12, 4, 7].map(|leaving| (user(1), removal(leaving)));
    let answers = requests.iter().map(|(actor, removal)| model.remove(*actor, removal));
    ModelledBatch { requests, answers: answers.collect(), state: model.dump() }
}

/// Returns the port calls of the batch.
pub(super) fn calls_of_batch<H: Harness>(cx: &TestContext<H>) -> Vec<PortCall> {
    let ModelledBatch { requests, answers, state } = batch();
    let test_store = cx.open(&office());
    let store = Faulty::new(test_store.connect());
    let actual = test_store.remove_all_with(&store, &requests);
    test_store.assert_eq("the answers", &Ok(answers), &actual);
    test_store.assert_state(&state);
    store.calls()
}

/// Returns whether the fault hits a commit that has taken effect.
pub(super) fn commit_took_effect(call: &PortCall, fault: &Fault) -> bool {
    *call == PortCall::Commit && matches!(fault, Fault::After(_) | Fault::StallAfter(_))
}

/// Opens another handle, into which faults can be injected.
pub(super) fn faulty<H: Harness>(test_store: &TestStore<'_, H>) -> Faulty<H::Store> {
    test_store.record("let store = Faulty::new(harness.connect(&fixture).await);");
    Faulty::new(test_store.connect())
}

/// Injects a fault at the `n`-th call.
pub(super) fn inject<H: Harness>(
    test_store: &TestStore<'_, H>,
    store: &Faulty<H::Store>,
    n: usize,
    fault: Fault,
) {
    test_store.record(transcript::inject(n, &fault));
    store.inject(n, fault);
}

/// Removes a user with a fault at the `n`-th call.
pub(super) fn inject_and_remove<H: Harness>(
    test_store: &TestStore<'_, H>,
    store: &Faulty<H::Store>,
    removal: &Removal,
    n: usize,
    fault: Fault,
) -> RemovalReply {
    inject(test_store, store, n, fault);
    test_store.remove_with(store, user(1), removal)
}
