//! The replay of conflicts: bounded, at every call, and for no other failure.

use std::sync::Arc;

use crm_chat_domain::{
    Answer, Outcome, Refusal, Removal, RemoveError, Request, Role, StoreError, StoreErrorKind,
    explain, remove_user, remove_users,
};
use futures_lite::future::block_on;

use crate::script::{ACTOR, Call, ENTITY, Facts, Fault, LAST, NAMED, Script, USER};

const KINDS: [StoreErrorKind; 5] = [
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

/// The three operations, each run with the same removal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    RemoveUser,
    RemoveUsers,
    Explain,
}

impl Operation {
    const ALL: [Self; 3] = [Self::RemoveUser, Self::RemoveUsers, Self::Explain];

    /// Runs the operation on a shared store and returns its answer.
    fn run(self, script: &Script, removal: &Removal) -> Result<Answer, StoreError> {
        let store = Arc::new(script.store(removal.chat.unwrap_or(LAST)));
        match self {
            Self::RemoveUser => match block_on(remove_user(&store, ACTOR, removal)) {
                Ok(outcome) => Ok(Ok(outcome)),
                Err(RemoveError::Refused(refusal)) => Ok(Err(refusal)),
                Err(RemoveError::Store(error)) => Err(error),
            },
            Self::RemoveUsers => {
                let answers = block_on(remove_users(&store, &[(ACTOR, *removal)]))?;
                Ok(answers[0])
            }
            Self::Explain => {
                let explanation = block_on(explain(&store, ACTOR, &Request::from(removal)))?;
                let change = explanation.change().copied();
                Ok(match explanation.deciding() {
                    Some((_, answer)) => answer,
                    None => Ok(Outcome::Removed(change.unwrap())),
                })
            }
        }
    }

    /// Returns the calls of one successful attempt to remove an owner.
    fn calls(self, removal: &Removal) -> Vec<Call> {
        let mut calls = vec![Call::Begin, Call::Prefetch(*removal)];
        calls.extend([Call::Messenger, Call::Access]);
        calls.push(match removal.chat {
            Some(_) => Call::Link,
            None => Call::LastChat,
        });
        calls.extend([Call::Permission, Call::ActiveUser, Call::Role]);
        calls.push(Call::Successor);
        calls.extend((self != Self::Explain).then_some(Call::RemoveMember));
        calls.push(Call::Commit);
        calls
    }
}

/// The owner's removal from the named chat, and from the last chat.
fn removals() -> [Removal; 2] {
    let removal = Removal::new(ENTITY, USER);
    [removal.in_chat(NAMED), removal]
}

/// The facts in which the user owns the chat.
fn owner() -> Facts {
    Facts { role: Some(Role::Owner), ..Facts::default() }
}

/// Calls `run` for each operation and each of its calls that can fail, with the calls of an attempt
/// that fails there.
fn for_each_call(run: impl Fn(Operation, Removal, Call, Vec<Call>)) {
    for operation in Operation::ALL {
        for removal in removals() {
            let calls = operation.calls(&removal);
            for (place, call) in calls.iter().enumerate() {
                if matches!(call, Call::Prefetch(_)) {
                    continue;
                }
                let mut failing = calls[..=place].to_vec();
                if !matches!(call, Call::Begin | Call::Commit) {
                    failing.push(Call::Rollback);
                }
                run(operation, removal, *call, failing);
            }
        }
    }
}

#[test]
fn conflict_is_replayed_at_every_call() {
    for_each_call(|operation, removal, at, failing| {
        for conflicts in 1..=7 {
            let script = Script::new([owner()]).fail(Fault {
                at,
                kind: StoreErrorKind::Conflict,
                occurrences: 0..conflicts,
            });
            let answer = operation.run(&script, &removal).unwrap();
            assert!(matches!(answer, Ok(Outcome::Removed(_))), "{answer:?}");

            let mut expected = Vec::new();
            for attempt in 1..=conflicts {
                expected.extend(&failing);
                expected.push(Call::Backoff(attempt.try_into().unwrap()));
            }
            expected.extend(operation.calls(&removal));
            assert_eq!(script.calls(), expected, "{operation:?} {at:?}");
        }
    });
}

#[test]
fn eighth_conflict_is_returned() {
    for_each_call(|operation, removal, at, failing| {
        let fault = Fault::always(at, StoreErrorKind::Conflict);
        let script = Script::new([owner()]).fail(fault);
        let error = operation.run(&script, &removal).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict);

        let mut expected = failing.clone();
        for attempt in 1..=7 {
            expected.push(Call::Backoff(attempt));
            expected.extend(&failing);
        }
        assert_eq!(script.calls(), expected, "{operation:?} {at:?}");
    });
}

#[test]
fn other_kinds_are_not_replayed() {
    for_each_call(|operation, removal, at, failing| {
        for kind in KINDS {
            let script = Script::new([owner()]).fail(Fault::always(at, kind));
            let error = operation.run(&script, &removal).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(script.calls(), failing, "{operation:?} {at:?}");
        }
    });
}

#[test]
fn another_failure_ends_the_replays() {
    for kind in KINDS {
        let script = Script::new([owner()])
            .fail(Fault { at: Call::Commit, kind: StoreErrorKind::Conflict, occurrences: 0..2 })
            .fail(Fault::always(Call::Commit, kind));
        let [removal, _] = removals();
        let error = Operation::RemoveUser.run(&script, &removal).unwrap_err();
        assert_eq!(error.kind(), kind);
        let begun = script.calls().iter().filter(|call| **call == Call::Begin).count();
        assert_eq!(begun, 3);
    }
}

/// The other transaction won: the replay asks every question again and keeps nothing of the first
/// attempt.
#[test]
fn replay_answers_by_the_facts_of_its_own_attempt() {
    let gone = Facts { role: None, ..Facts::default() };
    for operation in Operation::ALL {
        let script = Script::new([owner(), gone]).fail(Fault {
            at: Call::Commit,
            kind: StoreErrorKind::Conflict,
            occurrences: 0..1,
        });
        let [removal, _] = removals();
        let answer = operation.run(&script, &removal).unwrap();
        let (user, chat) = (USER, NAMED);
        assert_eq!(answer, Err(Refusal::NotAMember { user, chat }), "{operation:?}");
    }
}
