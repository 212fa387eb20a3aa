//! Futures that are dropped before they complete.

use std::thread;
use std::time::Duration;

use crm_chat_domain::{ChatRepo, IfAbsent, Outcome, Removal, Store, remove_user};
use futures_lite::future::or;

use super::injection::{
    NumberedCall, commit_number, commit_took_effect, faulty, inject, numbered_calls,
    office_without_owner, owner_leaves,
};
use crate::doubles::{Fault, Faulty, Gate, PortCall};
use crate::fixtures::{chat, office, removal, user};
use crate::model::difference;
use crate::suite::cancellation::{CancelOutcome, cancel_after_polls};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;
use crate::suite::transcript;

/// R8: a removal that is cancelled at any port call leaves no change, open transaction or lock.
pub fn r8_cancelled_call<H: Harness>(cx: &TestContext<H>) {
    for NumberedCall { removal, n, call } in numbered_calls(cx) {
        for stall in [Fault::StallBefore, Fault::StallAfter] {
            // Stalled before and after the call: a backend may leave a lock in either state.
            let gate = Gate::default();
            let fault = stall(gate.clone());
            if commit_took_effect(&call, &fault) {
                continue; // `r8_cancelled_commit` covers it.
            }
            let test_store = cx.open(&office());
            cancel_at(&test_store, &removal, &gate, n, fault);
            assert_nothing_left(&test_store);
        }
    }
}

fn cancel_at<H: Harness>(
    test_store: &TestStore<'_, H>,
    removal: &Removal,
    gate: &Gate,
    n: usize,
    fault: Fault,
) {
    let store = faulty(test_store);
    inject(test_store, &store, n, fault);
    let call = transcript::remove_user(user(1), removal);
    test_store.record(format!("{call}.await; // dropped at the gate"));
    let removal = async { remove_user(&store, user(1), removal).await.is_ok() };
    let cancelled = async {
        gate.reached().await;
        false
    };
    let completed = test_store.block_on(or(removal, cancelled));
    test_store.assert_eq("the removal completed", &false, &completed);
}

/// Asserts that the cancelled removal changed nothing and that the next one is not blocked.
fn assert_nothing_left<H: Harness>(test_store: &TestStore<'_, H>) {
    test_store.assert_state(&office());
    test_store.assert_removed(&removal(7), &owner_leaves());
    test_store.assert_state(&office_without_owner());
}

/// R8: a `begin` that is cancelled at once, or while it waits for another transaction, leaves no
/// open transaction or lock.
pub fn r8_cancelled_begin<H: Harness>(cx: &TestContext<H>) {
    for polls in [0, 1] {
        let test_store = cx.open(&office());
        test_store.record(format!("cancel_after_polls(store.begin(), {polls}).await;"));
        let begin = test_store.store().begin();
        test_store.block_on(async { drop(cancel_after_polls(begin, polls).await) });
        assert_nothing_left(&test_store);
    }

    let test_store = cx.open(&office());
    test_store.record(
        "// one transaction writes, two more wait to begin and are dropped, then the first is",
    );
    let (second, third) = (test_store.connect(), test_store.connect());
    let begun = test_store.block_on(async {
        let mut holder = test_store.store().begin().await?;
        holder.remove_member(&owner_leaves()).await?;
        drop(cancel_after_polls(second.begin(), 1).await);
        // A backend may ask its storage on another thread. Leave it the time to get there, so that
        // it is the waiting request that is cancelled.
        drop(with_timeout(test_store.harness().rendezvous_timeout(), third.begin()).await);
        drop(holder);
        // Both must be able to begin now. A leaked lock makes the case time out here.
        drop(second.begin().await?);
        third.begin().await.map(drop)
    });
    if let Err(error) = begun {
        test_store.fail("transactions begin", error.report());
    }
    assert_nothing_left(&test_store);
}

/// Waits for a future no longer than `time`. Works on every runtime, as it needs no timer.
async fn with_timeout<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    // The alarm thread outlives a future that completes early. It only opens a gate then.
    let over = Gate::default();
    let alarm = over.clone();
    thread::spawn(move || {
        thread::sleep(time);
        alarm.open();
    });
    let timeout = async {
        over.pass().await;
        None
    };
    or(async { Some(future.await) }, timeout).await
}

/// R8: a `commit` that is cancelled at any point where the backend waits takes effect completely or
/// not at all, and not at all before its first poll.
pub fn r8_cancelled_commit<H: Harness>(cx: &TestContext<H>) {
    // More polls than any backend needs: the loop ends at the first removal that completes.
    const MAX_POLLS: usize = 1000;
    for polls in 0..MAX_POLLS {
        let test_store = cx.open(&office());
        let call = transcript::remove_user(user(1), &removal(7));
        test_store.record(format!("cancel_after_polls({call}, {polls}).await;"));
        // No fault is injected: `Faulty` only records whether the commit was reached.
        let store = Faulty::new(test_store.connect());
        let request = removal(7);
        let removal = remove_user(&store, user(1), &request);
        let outcome = test_store.block_on(cancel_after_polls(removal, polls));
        let CancelOutcome::Dropped = outcome else { break };
        if store.calls().last() == Some(&PortCall::Commit) {
            assert_whole_or_absent(&test_store);
        } else {
            assert_nothing_left(&test_store);
        }
    }

    // Cancelled after the commit has taken effect, before the caller learns of it.
    let (test_store, gate) = (cx.open(&office()), Gate::default());
    let fault = Fault::StallAfter(gate.clone());
    cancel_at(&test_store, &removal(7), &gate, commit_number(cx), fault);
    test_store.assert_state(&office_without_owner());
    assert_whole_or_absent(&test_store);
}

/// Asserts that the cancelled removal took effect completely or not at all.
///
/// Its commit may still be in progress when the state is first read. Repeating the removal waits
/// for it, so afterwards the change must be there.
fn assert_whole_or_absent<H: Harness>(test_store: &TestStore<'_, H>) {
    let whole = office_without_owner();
    let actual = test_store.dump();
    let absent = difference(&office(), &actual).is_none();
    if !absent && difference(&whole, &actual).is_some() {
        test_store.fail("all of the change or nothing of it", format_args!("{actual:?}"));
    }
    let accepting = removal(7).if_absent(IfAbsent::Accept);
    match test_store.remove(user(1), &accepting) {
        Ok(Ok(Outcome::Removed(change))) if absent => {
            test_store.assert_eq("the change", &owner_leaves(), &change);
        }
        reply => {
            let expected = Outcome::AlreadyAbsent { chat: chat(8773) };
            test_store.assert_eq("the repeated answer", &Ok(Ok(expected)), &reply);
        }
    }
    test_store.assert_state(&whole);
}
