//! Storage failures.

use crm_chat_domain::{IfAbsent, Outcome, Refusal, Removal, Store, StoreErrorKind};

use super::injection::{
    ModelledBatch, NumberedCall, PERMANENT_KINDS, batch, calls_of_batch, commit_took_effect,
    faulty, inject, inject_and_remove, numbered_calls, office_without_owner, owner_leaves,
};
use crate::doubles::{Fault, PortCall};
use crate::fixtures::{chat, office, removal, user};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

/// K3: if the n-th call fails before its effect, for every n, and even if the rollback fails too,
/// nothing is changed, and the same request then succeeds.
pub fn k3_failure_before_a_call<H: Harness>(cx: &TestContext<H>) {
    // One kind per call instead of every combination: the core treats them alike.
    let kinds = PERMANENT_KINDS.into_iter().cycle();
    for (NumberedCall { removal, n, .. }, kind) in numbered_calls(cx).into_iter().zip(kinds) {
        for rollback_fails in [false, true] {
            let test_store = cx.open(&office());
            let store = faulty(&test_store);
            if rollback_fails {
                // The core rolls back next. The store must discard the changes even so.
                let fault = Fault::Before(StoreErrorKind::Unavailable);
                inject(&test_store, &store, n + 1, fault);
            }
            let reply = inject_and_remove(&test_store, &store, &removal, n, Fault::Before(kind));
            test_store.assert_eq("the answer", &Err(kind), &reply);
            test_store.assert_state(&office());
            store.clear_faults();
            assert_converges(&test_store, &store, &removal);
        }
    }
}

/// K3: if the n-th call fails after its effect, for every n, the change is complete or absent. A
/// commit that took effect but reports a failure is *outcome unknown*, and the repeated request
/// gives rule 12 or *already absent*.
pub fn k3_failure_after_a_call<H: Harness>(cx: &TestContext<H>) {
    let kinds = PERMANENT_KINDS.into_iter().cycle();
    for (NumberedCall { removal, n, call }, kind) in numbered_calls(cx).into_iter().zip(kinds) {
        let test_store = cx.open(&office());
        let store = faulty(&test_store);
        let reply = inject_and_remove(&test_store, &store, &removal, n, Fault::After(kind));
        if call == PortCall::Commit {
            let unknown = Err(StoreErrorKind::OutcomeUnknown);
            test_store.assert_eq("the answer", &unknown, &reply);
            test_store.assert_state(&office_without_owner());
        } else {
            test_store.assert_eq("the answer", &Err(kind), &reply);
            test_store.assert_state(&office());
        }
        assert_converges(&test_store, &store, &removal);
    }
}

/// Asserts that repeating the request ends in one change and one record: it makes the change if it
/// is absent, and otherwise finds the user gone.
fn assert_converges<H: Harness>(
    test_store: &TestStore<'_, H>,
    store: &impl Store,
    removal: &Removal,
) {
    let whole = office_without_owner();
    if test_store.compare(&whole).is_err() {
        let reply = test_store.remove_with(store, user(1), removal);
        let removed = Outcome::Removed(owner_leaves());
        test_store.assert_eq("the repeated answer", &Ok(Ok(removed)), &reply);
        test_store.assert_state(&whole);
    }
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    for (option, expected) in [(IfAbsent::Refuse, Err(gone)), (IfAbsent::Accept, Ok(absent))] {
        let reply = test_store.remove_with(store, user(1), &removal.if_absent(option));
        test_store.assert_eq("the repeated answer", &Ok(expected), &reply);
    }
    test_store.assert_state(&whole);
}

/// K3: if the n-th call of a batch fails, for every n, before or after its effect, the batch takes
/// effect completely or not at all, and the same batch then succeeds.
pub fn k3_failure_in_a_batch<H: Harness>(cx: &TestContext<H>) {
    let ModelledBatch { requests, answers, state } = batch();
    for (n, call) in (1..).zip(calls_of_batch(cx)) {
        for fault in [Fault::Before, Fault::After] {
            let fault = fault(StoreErrorKind::Other);
            let took_effect = commit_took_effect(&call, &fault);
            let test_store = cx.open(&office());
            let store = faulty(&test_store);
            inject(&test_store, &store, n, fault);
            let reply = test_store.remove_all_with(&store, &requests);
            test_store.assert_eq("the batch is answered", &false, &reply.is_ok());
            if !took_effect {
                test_store.assert_state(&office());
                let repeated = test_store.remove_all_with(&store, &requests);
                test_store.assert_eq("the repeated answers", &Ok(answers.clone()), &repeated);
            }
            test_store.assert_state(&state);
        }
    }
}

/// N4: a store that cannot read whether the user is a member reports a storage failure, not a
/// refusal. Shown by an injected fault, and on the backend's own storage if the harness can
/// [corrupt](Harness::corrupt) it.
pub fn n4_storage_failure_is_not_a_refusal<H: Harness>(cx: &TestContext<H>) {
    let options = [IfAbsent::Refuse, IfAbsent::Accept];
    for NumberedCall { removal, n, call } in numbered_calls(cx) {
        if !matches!(call, PortCall::Role { .. }) {
            continue;
        }
        let with_option = |kind| options.map(|option| (kind, option));
        for (kind, option) in PERMANENT_KINDS.into_iter().flat_map(with_option) {
            let test_store = cx.open(&office());
            let store = faulty(&test_store);
            let removal = removal.if_absent(option);
            let reply = inject_and_remove(&test_store, &store, &removal, n, Fault::Before(kind));
            test_store.assert_eq("the answer", &Err(kind), &reply);
        }
    }

    for if_absent in options {
        // Corrupted storage is useless afterwards, so each option gets a store of its own.
        let test_store = cx.open(&office());
        if test_store.block_on(test_store.harness().corrupt(test_store.fixture())) {
            test_store.record("// the members cannot be read from the storage");
            let reply = test_store.remove(user(1), &removal(12).if_absent(if_absent));
            if reply.is_ok() || reply == Err(StoreErrorKind::Conflict) {
                test_store.fail("a storage failure, not a conflict", format!("{reply:?}"));
            }
        }
    }
}
