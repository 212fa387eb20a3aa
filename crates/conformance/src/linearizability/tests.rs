use crm_chat_domain::snapshot::EditRejection;
use crm_chat_domain::{Edit, Outcome, Refusal, Snapshot, StoreErrorKind, UserId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::generators;
use crate::model::{Model, Operation, Response, Script, difference};

/// Parses operations on a world in which user 1 may remove 2 and 3 from chat 11 of deal 21.
fn script(operations: &str) -> Script {
    let world = r#"{
        "users": [{"id": 2, "active": true}, {"id": 3, "active": true}],
        "chats": [{"id": 11, "owner": 2, "members": [2, 3]}],
        "links": [{"entity": {"type": "deal", "id": 21}, "chat": 11}],
        "access": [{"user": 1, "entity": {"type": "deal", "id": 21}}],
        "removers": [{"user": 1, "chat": 11}]
    }"#;
    let world = world.replace('\n', " ");
    format!("{world}\n{operations}").parse().expect("the script is valid")
}

const REMOVE_2: &str =
    r#"{"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 2}}"#;
const REMOVE_3: &str =
    r#"{"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 3}}"#;
const JOIN_4: &str = r#"{"edit": {"join": {"chat": 11, "user": 4}}}"#;
const REVOKE: &str = r#"{"edit": {"revoke_removal": {"user": 1, "chat": 11}}}"#;
const DUMP: &str = r#""dump""#;

/// Returns the responses of the model to the operations in the given order, and its final state.
fn serial(script: &Script, order: &[usize]) -> (Vec<Response>, Snapshot) {
    let mut model = Model::new(script.world.clone());
    let mut responses = vec![Response::Answers(Vec::new()); script.operations.len()];
    for &index in order {
        responses[index] = model.perform(&script.operations[index]);
    }
    (responses, model.world().clone())
}

/// Returns a history of a script with the given times.
fn history(script: &Script, times: &[(u64, u64)], completions: Vec<Completion>) -> History {
    let operations = script.operations.iter().cloned();
    let events = operations.zip(times).zip(completions);
    let event = |((operation, &(invoked_at, completed_at)), completion): (
        (Operation, &(u64, u64)),
        Completion,
    )| Event {
        operation,
        invoked_at,
        completed_at: (completion != Completion::Indeterminate).then_some(completed_at),
        completion,
    };
    History::new(events.map(event).collect())
}

fn responded(responses: Vec<Response>) -> Vec<Completion> {
    responses.into_iter().map(Completion::Ok).collect()
}

#[track_caller]
fn assert_accepted(
    script: &Script,
    times: &[(u64, u64)],
    completions: Vec<Completion>,
    last: &Snapshot,
) {
    if let Err(error) = check(&script.world, &history(script, times, completions), last) {
        panic!("{error}");
    }
}

/// Asserts that a history has no serial order, and that the error says why.
#[track_caller]
fn assert_rejected(
    script: &Script,
    times: &[(u64, u64)],
    completions: Vec<Completion>,
    last: &Snapshot,
    expected: &str,
) {
    match check(&script.world, &history(script, times, completions), last) {
        Ok(order) => panic!("accepted as\n{order}"),
        Err(error) => assert!(error.to_string().contains(expected), "{error}"),
    }
}

#[test]
fn overlapping_operations_may_take_any_order() {
    let script = script(&[REMOVE_2, REMOVE_3].join("\n"));
    for order in [[0, 1], [1, 0]] {
        let (responses, last) = serial(&script, &order);
        assert_accepted(&script, &[(0, 9), (1, 8)], responded(responses), &last);
    }
}

#[test]
fn real_time_is_respected() {
    let script = script(&[REVOKE, REMOVE_3].join("\n"));
    let (responses, last) = serial(&script, &[1, 0]);
    let completions = responded(responses);
    assert_accepted(&script, &[(0, 2), (1, 3)], completions.clone(), &last);
    // Here the revocation completed before the removal began, which used the stale right.
    assert_rejected(
        &script,
        &[(0, 1), (2, 3)],
        completions,
        &last,
        "the model responds Answer(Err(RemovalDenied",
    );
}

#[test]
fn stale_read_is_rejected() {
    let script = script(&[REMOVE_2, DUMP].join("\n"));
    let (responses, last) = serial(&script, &[1, 0]);
    let completions = responded(responses);
    assert_accepted(&script, &[(0, 2), (1, 3)], completions.clone(), &last);
    assert_rejected(&script, &[(0, 1), (2, 3)], completions, &last, "the model holds");
}

#[test]
fn lost_update_is_rejected() {
    let script = script(&[REMOVE_3, JOIN_4].join("\n"));
    let (responses, last) = serial(&script, &[0, 1]);
    let (_, without_the_join) = serial(&script, &[0]);
    let (_, without_the_removal) = serial(&script, &[1]);
    let times = [(0, 9), (1, 8)];
    let completions = || responded(responses.clone());
    assert_accepted(&script, &times, completions(), &last);
    assert_rejected(
        &script,
        &times,
        completions(),
        &without_the_join,
        "the store ends in another state",
    );
    assert_rejected(
        &script,
        &times,
        completions(),
        &without_the_removal,
        "the log has another record",
    );
}

#[test]
fn removing_one_user_twice_is_rejected() {
    let script = script(&[REMOVE_3, REMOVE_3].join("\n"));
    let (mut responses, last) = serial(&script, &[0, 1]);
    assert_accepted(&script, &[(0, 9), (1, 8)], responded(responses.clone()), &last);
    responses[1] = responses[0].clone();
    assert_rejected(&script, &[(0, 9), (1, 8)], responded(responses), &last, "NotAMember");
}

#[test]
fn indeterminate_operation_may_take_effect_late_or_never() {
    let script = script(&[REMOVE_2, DUMP, DUMP].join("\n"));
    let times = [(0, 1), (2, 3), (4, 5)];
    let never = (serial(&script, &[1, 2]).0, script.world.clone());
    let at_once = serial(&script, &[0, 1, 2]);
    let later = serial(&script, &[1, 0, 2]);
    for (responses, last) in [never, at_once, later] {
        for unknown in [Completion::Fail(StoreErrorKind::OutcomeUnknown), Completion::Indeterminate]
        {
            let mut completions = responded(responses.clone());
            completions[0] = unknown;
            assert_accepted(&script, &times, completions, &last);
        }
    }
}

#[test]
fn failed_operation_has_no_effect() {
    let script = script(REMOVE_2);
    let (_, last) = serial(&script, &[0]);
    for kind in [StoreErrorKind::Conflict, StoreErrorKind::Unavailable, StoreErrorKind::Other] {
        let failed = || vec![Completion::Fail(kind)];
        assert_accepted(&script, &[(0, 1)], failed(), &script.world);
        assert_rejected(&script, &[(0, 1)], failed(), &last, "the store ends in another state");
    }
}

#[test]
fn dropped_invocation_is_indeterminate() {
    let recorder = Recorder::new();
    let user = UserId::MIN;
    drop(recorder.invoke(Operation::Edit(Edit::ActivateUser { user })));
    recorder.invoke(Operation::Dump).fail(StoreErrorKind::Unavailable);
    let history = recorder.history();
    let completions: Vec<_> = history.events().iter().map(|event| &event.completion).collect();
    assert_eq!(
        completions,
        [&Completion::Indeterminate, &Completion::Fail(StoreErrorKind::Unavailable)]
    );
    assert_eq!(history.events()[1].completed_at, Some(2));
}

/// Generates a script and, for each operation, how long before and after its turn it was invoked
/// and completed, and how it completed.
fn runs() -> impl Strategy<Value = (Script, Vec<(u64, u64)>, Vec<Option<bool>>)> {
    // `Some` if the response was not received: whether the operation took effect.
    let seen = proptest::option::weighted(0.2, any::<bool>());
    let widths = (0..40_u64, 0..40_u64);
    (generators::arb_script(1..=8), vec(widths, 8), vec(seen, 8))
}

/// Returns the times of operations whose turns are ten apart.
fn times(widths: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let turns = (100_u64..).step_by(10);
    turns.zip(widths).map(|(turn, (before, after))| (turn - before, turn + after)).collect()
}

/// Returns an id that no strategy generates.
fn unknown_user() -> UserId {
    UserId::new(777).expect("777 is an id")
}

/// Returns whether any order of the events fits, by trying them all.
fn some_order_fits(initial: &Snapshot, events: &[Event], last: &Snapshot) -> bool {
    fn fits(model: &Model, left: &[Event], last: &Snapshot) -> bool {
        let must = |event: &Event| matches!(event.completion, Completion::Ok(_));
        if !left.iter().any(must) && difference(model.world(), last).is_none() {
            return true;
        }
        (0..left.len()).any(|index| {
            let event = &left[index];
            let overtakes =
                left.iter().any(|other| must(other) && other.completed_at < Some(event.invoked_at));
            let mut after = model.clone();
            let expected = after.perform(&event.operation);
            let admits = match &event.completion {
                Completion::Ok(found) => expected.matches(found),
                _ => true,
            };
            let rest = [&left[..index], &left[index + 1..]].concat();
            !overtakes && admits && fits(&after, &rest, last)
        })
    }
    fits(&Model::new(initial.clone()), events, last)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn serial_run_of_the_model_is_accepted((script, widths, seen) in runs()) {
        let mut model = Model::new(script.world.clone());
        let completion = |(operation, seen): (&Operation, &Option<bool>)| match seen {
            None => Completion::Ok(model.perform(operation)),
            Some(true) => { model.perform(operation); Completion::Indeterminate },
            Some(false) => Completion::Fail(StoreErrorKind::OutcomeUnknown),
        };
        let completions = script.operations.iter().zip(&seen).map(completion).collect();
        let history = history(&script, &times(&widths), completions);
        let order = check(&script.world, &history, model.world());
        prop_assert!(order.is_ok(), "{}", order.unwrap_err());
    }

    #[test]
    fn response_the_model_never_gives_is_rejected(
        (script, widths, _) in runs(),
        choice in any::<prop::sample::Index>(),
    ) {
        let in_order: Vec<_> = (0..script.operations.len()).collect();
        let (responses, last) = serial(&script, &in_order);
        let mut completions = responded(responses);
        let index = choice.index(completions.len());
        completions[index] = Completion::Ok(match &script.operations[index] {
            Operation::Remove(_) => Response::Answer(Err(Refusal::UserNotActive { user: unknown_user() })),
            Operation::RemoveMany(calls) => Response::Answers(vec![Ok(Outcome::NoChat); calls.len() + 1]),
            _ => Response::Edited(Err(EditRejection::UnknownUser(unknown_user()))),
        });
        let history = history(&script, &times(&widths), completions);
        let report = check(&script.world, &history, &last).unwrap_err().to_string();
        let from_the_world_on = report.split("// and leads to\n").nth(1);
        let pasted = from_the_world_on.map(str::parse::<Script>);
        prop_assert!(matches!(pasted, Some(Ok(_))), "{pasted:?}\n{report}");
    }

    /// Histories with responses that were right earlier or later. Half of them have no serial
    /// order.
    #[test]
    fn search_finds_an_order_exactly_if_one_exists(
        script in generators::arb_script(1..=4),
        widths in vec((0..40_u64, 0..40_u64), 4),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        unseen in vec(proptest::bool::weighted(0.2), 4),
    ) {
        let number = script.operations.len();
        let order: Vec<_> = order.into_iter().filter(|index| *index < number).collect();
        let (responses, last) = serial(&script, &order);
        let mut completions = responded(responses);
        for (completion, _) in completions.iter_mut().zip(unseen).filter(|(_, unseen)| *unseen) {
            *completion = Completion::Indeterminate;
        }
        let history = history(&script, &times(&widths), completions);
        let found = check(&script.world, &history, &last);
        let expected = some_order_fits(&script.world, history.events(), &last);
        prop_assert_eq!(found.is_ok(), expected, "{}\n{:?}", history, found);
    }
}
