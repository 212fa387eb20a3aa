//! `explain`: it agrees with the removal, and checks the rules after the deciding one too.

use crm_chat_domain::{
    Answer, Explanation, Outcome, RemoveError, Role, Rule, StoreError, StoreErrorKind, Verdict,
    explain, remove_user,
};
use futures_lite::future::block_on;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::script::{ACTOR, Call, Facts, Fault, Script};
use crate::world::{Field, Fields, QUESTIONS, World, all_worlds, worlds};

/// A verdict in a form that can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Holds,
    Fails(Answer),
    CannotBeAsked,
    Unknown(Call),
}

/// Returns the expected verdict on each rule in a world where some questions fail.
fn marks(world: &World, failing: &[Call]) -> [Mark; 12] {
    let chat_known = match world.fields.chat {
        Field::Valid => true,
        Field::Absent => {
            entity_known(world) && world.facts.last_chat && !failing.contains(&Call::LastChat)
        }
        Field::Invalid => false,
    };
    let can_be_asked = |rule| match rule {
        7 => entity_known(world),
        8 if world.fields.chat == Field::Absent => entity_known(world),
        8 => world.fields.chat == Field::Valid,
        9 | 10 => chat_known && entity_known(world),
        11 => !world.fails(1),
        12 => chat_known && !world.fails(1),
        _ => true,
    };
    std::array::from_fn(|index| {
        let rule = u8::try_from(index + 1).unwrap();
        match question(world, rule) {
            _ if !can_be_asked(rule) => Mark::CannotBeAsked,
            Some(question) if failing.contains(&question) => Mark::Unknown(question),
            _ if world.fails(rule) => Mark::Fails(world.answer_of(rule)),
            _ => Mark::Holds,
        }
    })
}

/// Returns `true` if rules 3 and 5 yield an entity.
fn entity_known(world: &World) -> bool {
    !world.fails(3) && !world.fails(5)
}

/// Returns the question that the rule asks of the storage in this world.
fn question(world: &World, rule: u8) -> Option<Call> {
    let (_, call) = QUESTIONS.into_iter().find(|(asking, _)| *asking == rule)?;
    world.asks(call).then_some(call)
}

/// Returns every call that the explanation makes to the store.
fn calls(world: &World, marks: &[Mark; 12], failing: &[Call]) -> Vec<Call> {
    let decides = marks.iter().position(|mark| matches!(mark, Mark::Fails(_)));
    let before = &marks[..decides.unwrap_or(12)];
    let fails = before.iter().position(|mark| matches!(mark, Mark::Unknown(_)));

    let mut calls = vec![Call::Begin];
    calls.extend(world.removal().map(Call::Prefetch));
    let looked_at = (1..).zip(&marks[..fails.map_or(12, |index| index + 1)]);
    calls.extend(
        looked_at
            .filter(|(_, mark)| **mark != Mark::CannotBeAsked)
            .filter_map(|(rule, _)| question(world, rule)),
    );
    let owned = world.facts.role == Some(Role::Owner);
    let follows = decides.or(fails).is_none() && owned;
    calls.extend(follows.then_some(Call::Successor));
    let failed = fails.is_some() || follows && failing.contains(&Call::Successor);
    calls.push(if failed { Call::Rollback } else { Call::Commit });
    calls
}

/// Explains the removal of a world over a store whose `failing` calls fail.
fn run(world: &World, failing: &[Call]) -> (Result<Explanation, StoreError>, Script) {
    let mut script = Script::new([world.facts]);
    for call in failing {
        script = script.fail(Fault::always(*call, StoreErrorKind::Unavailable));
    }
    let store = script.store(world.chat());
    (block_on(explain(&store, ACTOR, &world.request())), script)
}

/// Returns the marks of an explanation.
fn read(explanation: &Explanation) -> Vec<(Rule, Mark)> {
    let mark = |verdict: &Verdict| match verdict {
        Verdict::Holds => Mark::Holds,
        Verdict::Fails(answer) => Mark::Fails(*answer),
        Verdict::CannotBeAsked => Mark::CannotBeAsked,
        Verdict::Unknown(error) => {
            let named = |(_, call): &(u8, Call)| error.operation() == format!("{call:?}");
            Mark::Unknown(QUESTIONS.into_iter().find(named).unwrap().1)
        }
    };
    let verdicts = explanation.verdicts().iter();
    verdicts.map(|(rule, verdict)| (*rule, mark(verdict))).collect()
}

/// Any set of questions, which are to fail.
fn failing() -> impl Strategy<Value = Vec<Call>> {
    let questions = QUESTIONS.map(|(_, call)| call).into_iter();
    let all: Vec<Call> = questions.chain([Call::Successor]).collect();
    let len = all.len();
    subsequence(all, 0..=len)
}

/// Returns the answer of the removal itself.
fn removed(world: &World) -> Answer {
    let removal = world.request().parse()?;
    let store = Script::new([world.facts]).store(world.chat());
    match block_on(remove_user(&store, ACTOR, &removal)) {
        Ok(outcome) => Ok(outcome),
        Err(RemoveError::Refused(refusal)) => Err(refusal),
        Err(RemoveError::Store(error)) => panic!("{error}"),
    }
}

#[test]
fn explanation_agrees_with_removal() {
    for world in all_worlds() {
        let (explanation, script) = run(&world, &[]);
        let explanation = explanation.unwrap();
        assert_eq!(script.written(), [], "{world:?}");

        let deciding = explanation.deciding();
        let change = explanation.change().copied();
        let predicted =
            deciding.map_or_else(|| Ok(Outcome::Removed(change.unwrap())), |(_, answer)| answer);
        assert_eq!(predicted, removed(&world), "{world:?}");
        let number = deciding.map(|(rule, _)| rule.number());
        assert_eq!(number, world.deciding(), "{world:?}");
        assert_eq!(change.is_some(), deciding.is_none(), "{world:?}");
    }
}

proptest! {
    #[test]
    fn every_rule_has_its_verdict(world in worlds(), failing in failing()) {
        let marks = marks(&world, &failing);
        let calls = calls(&world, &marks, &failing);
        let (explanation, script) = run(&world, &failing);
        prop_assert_eq!(script.calls(), calls.clone());
        match explanation {
            Ok(explanation) => {
                prop_assert_eq!(calls.last(), Some(&Call::Commit));
                let expected: Vec<_> = Rule::ALL.into_iter().zip(marks).collect();
                prop_assert_eq!(read(&explanation), expected);
            }
            Err(error) => {
                let at = calls[calls.len() - 2];
                prop_assert_eq!(calls.last(), Some(&Call::Rollback));
                prop_assert_eq!(error.operation(), format!("{at:?}"));
            }
        }
    }
}

/// Asserts the verdicts on rules 1 to 12: `+` holds, `-` fails, `.` cannot be asked, `?` unknown.
#[track_caller]
fn assert_verdicts(change: impl Fn(&mut Fields, &mut Facts), failing: &[Call], expected: &str) {
    let mut world = World { fields: Fields::default(), facts: Facts::default() };
    change(&mut world.fields, &mut world.facts);
    let (explanation, _) = run(&world, failing);
    let explanation = explanation.unwrap();
    let marks = read(&explanation).into_iter().map(|(_, mark)| match mark {
        Mark::Holds => '+',
        Mark::Fails(_) => '-',
        Mark::CannotBeAsked => '.',
        Mark::Unknown(_) => '?',
    });
    assert_eq!(marks.collect::<String>(), expected, "{explanation:#?}");
}

#[test]
fn rule_without_its_id_or_chat_cannot_be_asked() {
    use Field::{Absent, Invalid};

    assert_verdicts(|_, _| (), &[], "++++++++++++");
    assert_verdicts(|fields, _| fields.chat = Absent, &[], "++++++++++++");
    assert_verdicts(|fields, _| fields.user = Invalid, &[], "-+++++++++..");
    assert_verdicts(|fields, _| fields.entity = Invalid, &[], "++-+++.+..++");
    assert_verdicts(|fields, _| fields.entity = Absent, &[], "+--+++.+..++");
    assert_verdicts(|fields, _| fields.kind = Invalid, &[], "++++-+.+..++");
    assert_verdicts(|fields, _| fields.kind = Absent, &[], "+-++-+.+..++");
    assert_verdicts(|fields, _| fields.chat = Invalid, &[], "+++-+++...+.");
    assert_verdicts(
        |fields, _| (fields.entity, fields.chat) = (Invalid, Absent),
        &[],
        "++-+++....+.",
    );
    assert_verdicts(
        |fields, facts| (fields.chat, facts.last_chat) = (Absent, false),
        &[],
        "+++++++-..+.",
    );
    assert_verdicts(
        |fields, facts| (fields.chat, facts.messenger) = (Absent, false),
        &[Call::LastChat],
        "+++++-+?..+.",
    );
    assert_verdicts(|_, facts| facts.messenger = false, &[Call::Link, Call::Role], "+++++-++?++?");
    assert_verdicts(
        |fields, _| {
            *fields =
                Fields { user: Invalid, kind: Invalid, entity: Invalid, chat: Invalid, ..*fields }
        },
        &[],
        "-+---+......",
    );
}

#[test]
fn explanation_is_returned_only_after_commit() {
    let world = World { fields: Fields::default(), facts: Facts::default() };
    for call in [Call::Begin, Call::Commit] {
        let (explanation, _) = run(&world, &[call]);
        assert_eq!(explanation.unwrap_err().operation(), format!("{call:?}"));
    }
}
