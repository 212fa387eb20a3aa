//! Conflicts, and transactions that are aborted.

use crm_chat_domain::{Outcome, StoreErrorKind};

use super::injection::{
    ModelledBatch, NumberedCall, batch, calls_of_batch, commit_number, commit_took_effect, faulty,
    inject, inject_and_remove, numbered_calls, office_without_owner, owner_leaves,
};
use crate::doubles::{Fault, Faulty};
use crate::fixtures::{office, removal, user};
use crate::suite::harness::Harness;
use crate::suite::interleaving::{SyncPoint, run_during};
use crate::suite::runner::TestContext;

/// R7: a removal that conflicts is retried, and the aborted attempt leaves no effect.
pub fn r7_aborted_attempt_leaves_nothing<H: Harness>(cx: &TestContext<H>) {
    let conflict = StoreErrorKind::Conflict;
    for NumberedCall { removal, n, call } in numbered_calls(cx) {
        for fault in [Fault::Before(conflict), Fault::After(conflict)] {
            if commit_took_effect(&call, &fault) {
                continue; // That is not a conflict.
            }
            let test_store = cx.open(&office());
            let store = faulty(&test_store);
            let actual = inject_and_remove(&test_store, &store, &removal, n, fault);
            let expected = Outcome::Removed(owner_leaves());
            test_store.assert_eq("the answer", &Ok(Ok(expected)), &actual);
            test_store.assert_state(&office_without_owner());
        }
    }
}

/// R7: a batch that conflicts is retried as a whole.
pub fn r7_aborted_batch_leaves_nothing<H: Harness>(cx: &TestContext<H>) {
    let ModelledBatch { requests, answers, state } = batch();
    for n in 1..=calls_of_batch(cx).len() {
        let test_store = cx.open(&office());
        let store = faulty(&test_store);
        inject(&test_store, &store, n, Fault::Before(StoreErrorKind::Conflict));
        let actual = test_store.remove_all_with(&store, &requests);
        test_store.assert_eq("the answers", &Ok(answers.clone()), &actual);
        test_store.assert_state(&state);
    }
}

/// R7: the effects of an attempt that is going to be aborted are not visible to other transactions.
pub fn r7_aborted_attempt_is_never_visible<H: Harness>(cx: &TestContext<H>) {
    let commit = commit_number(cx);
    let expected = Outcome::Removed(owner_leaves());
    for point in [SyncPoint::Written, SyncPoint::Commit] {
        let test_store = cx.open(&office());
        let aborted = |store| {
            let store = Faulty::new(store);
            store.inject(commit, Fault::Before(StoreErrorKind::Unavailable));
            test_store.remove_with(&store, user(1), &removal(7))
        };
        let (reply, (seen, answer)) = run_during(&test_store, point, aborted, || {
            let seen = test_store.compare(&office());
            (seen, test_store.remove(user(1), &removal(7)))
        });
        if let Err(difference) = seen {
            test_store.fail("", difference);
        }
        let unavailable = Err(StoreErrorKind::Unavailable);
        test_store.assert_eq("the aborted answer", &unavailable, &reply);
        test_store.assert_eq("the answer", &Ok(Ok(expected)), &answer);
        test_store.assert_state(&office_without_owner());
    }
}
