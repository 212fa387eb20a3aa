//! Rules 6 to 12 and the change, over mocks: in every world, the right answer after the right
//! questions.

use std::collections::BTreeSet;
use std::sync::Arc;

use crm_chat_domain::{
    Answer, IfAbsent, Outcome, Refusal, Removal, RemoveError, Request, Role, Rule, Store,
    StoreError, StoreErrorKind, UserId, explain, remove_user, remove_users,
};
use futures_lite::future::block_on;

use crate::script::{ACTOR, Call, Facts, Fault, LAST, NAMED, Script, USER, error};
use crate::world::{QUESTIONS, World, all_fields, all_worlds, typed_worlds};

/// Removes the user, and separates answers from storage failures.
fn remove(script: &Script, world: &World, removal: &Removal) -> Result<Answer, StoreError> {
    match block_on(remove_user(&script.store(world.chat()), ACTOR, removal)) {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(RemoveError::Refused(refusal)) => Ok(Err(refusal)),
        Err(RemoveError::Store(error)) => Err(error),
    }
}

#[test]
fn request_is_refused_by_the_first_failing_rule_from_1_to_5() {
    for fields in all_fields() {
        let facts = Facts::default();
        let world = World { fields, facts };
        match (world.request().parse(), world.removal()) {
            (Ok(parsed), Some(removal)) => assert_eq!(parsed, removal, "{world:?}"),
            (parsed, _) => assert_eq!(Err(parsed.unwrap_err()), world.answer(), "{world:?}"),
        }
    }
}

#[test]
fn first_failing_rule_decides_and_later_questions_are_not_asked() {
    for (world, removal) in typed_worlds() {
        let script = Script::new([world.facts]);
        let answer = remove(&script, &world, &removal).unwrap();
        assert_eq!(answer, world.answer(), "{world:?}");
        assert_eq!(script.calls(), world.calls(), "{world:?}");
        let change = match answer {
            Ok(Outcome::Removed(change)) => vec![change],
            _ => vec![],
        };
        assert_eq!(script.written(), change, "{world:?}");
    }
}

/// Proves the two tests above complete: their worlds contain every pair of failing rules and every
/// code.
#[test]
fn every_pair_of_rules_fails_together_and_every_code_is_reached() {
    let mut pairs = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for world in all_worlds() {
        let failing: Vec<u8> = (1..=12).filter(|rule| world.fails(*rule)).collect();
        for (place, later) in failing.iter().enumerate() {
            pairs.extend(failing[..place].iter().map(|earlier| (*earlier, *later)));
        }
        codes.extend(world.answer().err().map(|refusal| refusal.code()));
    }
    let missing: Vec<(u8, u8)> = (1..=12)
        .flat_map(|later| (1..later).map(move |earlier| (earlier, later)))
        .filter(|pair| !pairs.contains(pair))
        .collect();
    // Rule 8 fails only for an absent chat, rule 9 only for a valid one, rule 4 only for an invalid
    // one.
    assert_eq!(missing, [(4, 8), (4, 9), (8, 9)]);
    assert_eq!(codes, Rule::ALL.iter().filter_map(|rule| rule.code()).collect());
}

/// Every question of a removal, and the write.
fn questions() -> impl Iterator<Item = Call> {
    let rules = QUESTIONS.into_iter().map(|(_, call)| call);
    rules.chain([Call::Successor, Call::RemoveMember])
}

#[test]
fn store_error_is_returned_only_if_the_order_reaches_the_question() {
    for (world, removal) in typed_worlds() {
        for question in questions() {
            let kind = StoreErrorKind::Unavailable;
            let script = Script::new([world.facts]).fail(Fault::always(question, kind));
            let answer = remove(&script, &world, &removal);
            let mut calls = world.calls();
            match calls.iter().position(|call| *call == question) {
                None => assert_eq!(answer.unwrap(), world.answer(), "{question:?} {world:?}"),
                Some(place) => {
                    let expected = error(question, kind).to_string();
                    assert_eq!(answer.unwrap_err().to_string(), expected, "{world:?}");
                    calls.truncate(place + 1);
                    calls.push(Call::Rollback);
                }
            }
            assert_eq!(script.calls(), calls, "{question:?} {world:?}");
        }
    }
}

#[test]
fn failed_commit_gives_no_answer() {
    for (world, removal) in typed_worlds() {
        for kind in [StoreErrorKind::Unavailable, StoreErrorKind::OutcomeUnknown] {
            let script = Script::new([world.facts]).fail(Fault::always(Call::Commit, kind));
            let error = remove(&script, &world, &removal).unwrap_err();
            assert_eq!(error.kind(), kind, "{world:?}");
            assert_eq!(script.calls(), world.calls(), "{world:?}");
        }
    }
}

#[test]
fn failed_begin_asks_no_question() {
    let fault = Fault::always(Call::Begin, StoreErrorKind::Unavailable);
    for (world, removal) in typed_worlds() {
        let script = Script::new([world.facts]).fail(fault.clone());
        let failed = remove(&script, &world, &removal).unwrap_err();
        let expected = error(Call::Begin, StoreErrorKind::Unavailable);
        assert_eq!(failed.to_string(), expected.to_string());
        assert_eq!(script.calls(), [Call::Begin]);
    }
}

#[test]
fn error_of_the_question_is_returned_rather_than_that_of_the_rollback() {
    for question in questions() {
        let facts = Facts { role: Some(Role::Owner), ..Facts::default() };
        let mut removal = Removal::new(crate::script::ENTITY, USER);
        removal.chat = (question != Call::LastChat).then_some(NAMED);
        let script = Script::new([facts])
            .fail(Fault::always(question, StoreErrorKind::Corrupt))
            .fail(Fault::always(Call::Rollback, StoreErrorKind::Unavailable));
        let store = script.store(removal.chat.unwrap_or(LAST));
        match block_on(remove_user(&store, ACTOR, &removal)) {
            Err(RemoveError::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::Corrupt),
            other => panic!("{question:?}: {other:?}"),
        }
        assert_eq!(script.calls().last(), Some(&Call::Rollback));
    }
}

/// The user was a member when rule 12 asked, but the write affected no row: the write has the last
/// word.
#[test]
fn write_that_removes_no_member_is_not_a_success() {
    let facts = Facts { removes: false, ..Facts::default() };
    for (mut world, removal) in typed_worlds() {
        if world.deciding().is_some() {
            continue;
        }
        let expected = world.answer_of(12);
        world.facts = Facts { role: world.facts.role, successor: world.facts.successor, ..facts };
        let script = Script::new([world.facts]);
        assert_eq!(remove(&script, &world, &removal).unwrap(), expected);
        assert_eq!(script.calls(), world.calls(), "the answer was not committed");
        let refused = matches!(expected, Err(Refusal::NotAMember { .. }));
        assert_eq!(refused, removal.if_absent == IfAbsent::Refuse);
    }
}

#[test]
fn result_is_the_chat_or_zero_for_no_chat() {
    let results: BTreeSet<i64> = typed_worlds()
        .filter_map(|(world, _)| world.answer().ok())
        .map(|outcome| outcome.result())
        .collect();
    assert_eq!(results, BTreeSet::from([0, NAMED.get(), LAST.get()]));
}

/// Compiles only if the futures can be spawned for every store.
#[expect(dead_code, reason = "compiling it is the test")]
fn the_futures_are_send<S: Store + 'static>(
    store: Arc<S>,
    removals: Vec<(UserId, Removal)>,
    request: Request,
) {
    fn spawn<F: Future<Output: Send> + Send + 'static>(_: F) {}

    let (one, many) = (store.clone(), store.clone());
    spawn(
        async move { remove_user(&one, ACTOR, &Removal::new(crate::script::ENTITY, USER)).await },
    );
    spawn(async move { remove_users(&*many, &removals).await });
    spawn(async move { explain(&*store, ACTOR, &request).await });
}
