//! The fault-injecting decorator.

use crm_chat_conformance::doubles::{Fault, Faulty, Gate, PortCall};
use crm_chat_conformance::fixtures::{after, change, chat, entity, office, removal, user};
use crm_chat_domain::{OwnerChange, RemoveError, Store, StoreErrorKind, UnitOfWork, remove_user};
use crm_chat_memory::Memory;
use futures_lite::future::{block_on, poll_once};

fn faulty_office() -> Faulty<Memory> {
    let memory = Memory::new();
    block_on(memory.load(&office())).unwrap();
    Faulty::new(memory)
}

fn kind(error: &RemoveError) -> Option<StoreErrorKind> {
    match error {
        RemoveError::Store(error) => Some(error.kind()),
        RemoveError::Refused(_) => None,
    }
}

#[test]
fn calls_are_recorded_with_their_arguments() {
    let store = faulty_office();
    let request = removal(12).in_chat(chat(8773));
    block_on(remove_user(&store, user(1), &request)).unwrap();
    let (actor, entity, chat) = (user(1), entity("deal:288"), chat(8773));
    let expected = [
        PortCall::Begin,
        PortCall::MessengerInstalled,
        PortCall::HasAccess { actor, entity },
        PortCall::IsLinked { chat, entity },
        PortCall::MayRemove { actor, chat, entity },
        PortCall::IsActive { user: user(12) },
        PortCall::Role { chat, user: user(12) },
        PortCall::RemoveMember(change(12, OwnerChange::Unchanged)),
        PortCall::Commit,
    ];
    assert_eq!(store.calls(), expected);
}

/// A commit that took effect is *outcome unknown*, whatever kind was injected; one that did not has
/// the injected kind.
#[test]
fn commit_fails_before_or_after_its_effect() {
    let commit = 9;
    let removed = after(&office(), &change(12, OwnerChange::Unchanged));
    let faults = [
        (Fault::Before(StoreErrorKind::Corrupt), StoreErrorKind::Corrupt, office()),
        (Fault::After(StoreErrorKind::Corrupt), StoreErrorKind::OutcomeUnknown, removed),
    ];
    for (fault, expected, mut state) in faults {
        let store = faulty_office();
        store.inject(commit, fault);
        let error = block_on(remove_user(&store, user(1), &removal(12))).unwrap_err();
        assert_eq!(kind(&error), Some(expected));
        let dump = block_on(store.inner().dump());
        state.sort();
        assert_eq!((dump.chats, dump.removals.len()), (state.chats, state.removals.len()));
    }
}

#[test]
fn fault_happens_once_counts_from_its_injection_and_can_be_cleared() {
    let store = faulty_office();
    block_on(store.begin()).unwrap();
    for _ in 0..2 {
        store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
        assert!(block_on(store.begin()).is_err());
        assert!(block_on(store.begin()).is_ok());
    }
    store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
    store.clear_faults();
    assert!(block_on(store.begin()).is_ok());
}

/// A commit held before its effect has none, one held after it has; the caller waits until the gate
/// is opened in both cases.
#[test]
fn stalled_call_waits_for_its_gate() {
    for (stall, records) in [(Fault::StallBefore as fn(Gate) -> Fault, 2), (Fault::StallAfter, 3)] {
        let (store, gate) = (faulty_office(), Gate::default());
        store.inject(9, stall(gate.clone()));
        let request = removal(12);
        let mut removing = Box::pin(remove_user(&store, user(1), &request));
        assert!(block_on(poll_once(&mut removing)).is_none());
        block_on(gate.reached());
        if records == 3 {
            assert_eq!(block_on(store.inner().dump()).removals.len(), records);
        }
        gate.open();
        assert!(block_on(removing).is_ok());
        assert_eq!(block_on(store.inner().dump()).removals.len(), 3);
    }
}

/// A fault at the rollback hides nothing: the first failure is reported.
#[test]
fn failed_rollback_does_not_replace_first_failure() {
    let store = faulty_office();
    store.inject(2, Fault::Before(StoreErrorKind::Corrupt));
    store.inject(3, Fault::After(StoreErrorKind::Other));
    let error = block_on(remove_user(&store, user(1), &removal(12))).unwrap_err();
    assert_eq!(kind(&error), Some(StoreErrorKind::Corrupt));
    assert_eq!(store.calls().last(), Some(&PortCall::Rollback));

    let tx = block_on(store.begin()).unwrap();
    store.inject(1, Fault::After(StoreErrorKind::Other));
    assert!(block_on(tx.rollback()).is_err());
}
