use crm_chat_domain::snapshot::EditRejection;
use crm_chat_domain::{Edit, Outcome, Refusal, Snapshot, StoreErrorKind, UserId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{Model, Script, difference};
use crate::strategies;

/// A world in which user 1 may remove 2 and 3 from chat 11 of deal 21, and what is done there.
fn script(operations: &str) -> Script {
    let world = r#"{
        "users": [{"id": 2, "active": true}, {"id": 3, "active": true}],
        "chats": [{"id": 11, "owner": 2, "members": [2, 3]}],
        "links": [{"entity": {"type": "deal", "id": 21}, "chat": 11}],
        "access": [{"user": 1, "entity": {"type": "deal", "id": 21}}],
        "removers": [{"user": 1, "chat": 11}]
    }"#;
    let world = world.replace('\n', " ");
    format!("{world}\n{operations}").parse().expect("the script is written right")
}

const REMOVE_2: &str =
    r#"{"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 2}}"#;
const REMOVE_3: &str =
    r#"{"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 3}}"#;
const JOIN_4: &str = r#"{"edit": {"join": {"chat": 11, "user": 4}}}"#;
const REVOKE: &str = r#"{"edit": {"revoke_removal": {"user": 1, "chat": 11}}}"#;
const DUMP: &str = r#""dump""#;

/// What the model responds if the operations are done in the order of the places, and what it ends in.
fn serial(script: &Script, order: &[usize]) -> (Vec<Response>, Snapshot) {
    let mut model = Model::new(script.world.clone());
    let mut responses = vec![Response::Answers(Vec::new()); script.operations.len()];
    for &place in order {
        responses[place] = model.perform(&script.operations[place]);
    }
    (responses, model.world().clone())
}

/// A history of a script's operations at the given times.
fn history(script: &Script, times: &[(u64, u64)], endings: Vec<Ending>) -> History {
    let operations = script.operations.iter().cloned();
    let events = operations.zip(times).zip(endings);
    let event = |((operation, &(began, ended)), ending): ((Operation, &(u64, u64)), Ending)| {
        Event { operation, began, ended: (ending != Ending::Open).then_some(ended), ending }
    };
    History::new(events.map(event).collect())
}

fn responded(responses: Vec<Response>) -> Vec<Ending> {
    responses.into_iter().map(Ending::Responded).collect()
}

#[track_caller]
fn accepts(script: &Script, times: &[(u64, u64)], endings: Vec<Ending>, last: &Snapshot) {
    if let Err(error) = check(&script.world, &history(script, times, endings), last) {
        panic!("{error}");
    }
}

/// Checks that a history has no serial order, and that the message says what is wrong with it.
#[track_caller]
fn rejects(
    script: &Script,
    times: &[(u64, u64)],
    endings: Vec<Ending>,
    last: &Snapshot,
    expected: &str,
) {
    match check(&script.world, &history(script, times, endings), last) {
        Ok(order) => panic!("accepted as\n{order}"),
        Err(error) => assert!(error.to_string().contains(expected), "{error}"),
    }
}

#[test]
fn operations_that_overlap_may_come_in_any_order() {
    let script = script(&[REMOVE_2, REMOVE_3].join("\n"));
    for order in [[0, 1], [1, 0]] {
        let (responses, last) = serial(&script, &order);
        accepts(&script, &[(0, 9), (1, 8)], responded(responses), &last);
    }
}

#[test]
fn real_time_is_respected() {
    let script = script(&[REVOKE, REMOVE_3].join("\n"));
    let (responses, last) = serial(&script, &[1, 0]);
    let endings = responded(responses);
    accepts(&script, &[(0, 2), (1, 3)], endings.clone(), &last);
    // Here the revocation ended before the removal began, which ran on the stale right.
    rejects(
        &script,
        &[(0, 1), (2, 3)],
        endings,
        &last,
        "the model responds Answer(Err(RemovalDenied",
    );
}

#[test]
fn a_stale_read_is_rejected() {
    let script = script(&[REMOVE_2, DUMP].join("\n"));
    let (responses, last) = serial(&script, &[1, 0]);
    let endings = responded(responses);
    accepts(&script, &[(0, 2), (1, 3)], endings.clone(), &last);
    rejects(&script, &[(0, 1), (2, 3)], endings, &last, "the model holds");
}

#[test]
fn a_lost_update_is_rejected() {
    let script = script(&[REMOVE_3, JOIN_4].join("\n"));
    let (responses, last) = serial(&script, &[0, 1]);
    let (_, without_the_join) = serial(&script, &[0]);
    let (_, without_the_removal) = serial(&script, &[1]);
    let times = [(0, 9), (1, 8)];
    let endings = || responded(responses.clone());
    accepts(&script, &times, endings(), &last);
    rejects(&script, &times, endings(), &without_the_join, "the store ends otherwise");
    rejects(&script, &times, endings(), &without_the_removal, "the log has another record");
}

#[test]
fn one_user_is_not_removed_twice() {
    let script = script(&[REMOVE_3, REMOVE_3].join("\n"));
    let (mut responses, last) = serial(&script, &[0, 1]);
    accepts(&script, &[(0, 9), (1, 8)], responded(responses.clone()), &last);
    responses[1] = responses[0].clone();
    rejects(&script, &[(0, 9), (1, 8)], responded(responses), &last, "NotAMember");
}

#[test]
fn what_ends_unknown_may_have_happened_at_any_later_time_or_never() {
    let script = script(&[REMOVE_2, DUMP, DUMP].join("\n"));
    let times = [(0, 1), (2, 3), (4, 5)];
    let never = (serial(&script, &[1, 2]).0, script.world.clone());
    let at_once = serial(&script, &[0, 1, 2]);
    let later = serial(&script, &[1, 0, 2]);
    for (responses, last) in [never, at_once, later] {
        for unknown in [Ending::Failed(StoreErrorKind::OutcomeUnknown), Ending::Open] {
            let mut endings = responded(responses.clone());
            endings[0] = unknown;
            accepts(&script, &times, endings, &last);
        }
    }
}

#[test]
fn what_failed_otherwise_has_not_happened() {
    let script = script(REMOVE_2);
    let (_, last) = serial(&script, &[0]);
    for kind in [StoreErrorKind::Conflict, StoreErrorKind::Unavailable, StoreErrorKind::Other] {
        let failed = || vec![Ending::Failed(kind)];
        accepts(&script, &[(0, 1)], failed(), &script.world);
        rejects(&script, &[(0, 1)], failed(), &last, "the store ends otherwise");
    }
}

#[test]
fn an_invocation_that_is_dropped_is_open() {
    let recorder = Recorder::new();
    let user = UserId::MIN;
    drop(recorder.invoke(Operation::Edit(Edit::ActivateUser { user })));
    recorder.invoke(Operation::Dump).fail(StoreErrorKind::Unavailable);
    let history = recorder.history();
    let endings: Vec<_> = history.events().iter().map(|event| &event.ending).collect();
    assert_eq!(endings, [&Ending::Open, &Ending::Failed(StoreErrorKind::Unavailable)]);
    assert_eq!(history.events()[1].ended, Some(2));
}

/// A script, and for each operation how long before and after its turn it began and ended, and how it ends.
fn runs() -> impl Strategy<Value = (Script, Vec<(u64, u64)>, Vec<Option<bool>>)> {
    // Whether the response was seen; if not, whether the operation happened.
    let seen = proptest::option::weighted(0.2, any::<bool>());
    let widths = (0..40_u64, 0..40_u64);
    (strategies::script(1..=8), vec(widths, 8), vec(seen, 8))
}

/// When each operation began and ended, if its turn was at ten times its place.
fn times(widths: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let turns = (100_u64..).step_by(10);
    turns.zip(widths).map(|(turn, (before, after))| (turn - before, turn + after)).collect()
}

/// An id that no strategy draws.
fn nobody() -> UserId {
    UserId::new(777).expect("777 is an id")
}

/// Whether any order of some of the events will do: the slow and plain way to know.
fn some_order_fits(initial: &Snapshot, events: &[Event], last: &Snapshot) -> bool {
    fn fits(model: &Model, left: &[Event], last: &Snapshot) -> bool {
        let must = |event: &Event| matches!(event.ending, Ending::Responded(_));
        if !left.iter().any(must) && difference(model.world(), last).is_none() {
            return true;
        }
        (0..left.len()).any(|place| {
            let event = &left[place];
            let overtakes = left.iter().any(|other| must(other) && other.ended < Some(event.began));
            let mut after = model.clone();
            let expected = after.perform(&event.operation);
            let admits = match &event.ending {
                Ending::Responded(found) => expected.admits(found),
                _ => true,
            };
            let rest = [&left[..place], &left[place + 1..]].concat();
            !overtakes && admits && fits(&after, &rest, last)
        })
    }
    fits(&Model::new(initial.clone()), events, last)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_the_model_does_serially_is_accepted((script, widths, seen) in runs()) {
        let mut model = Model::new(script.world.clone());
        let ending = |(operation, seen): (&Operation, &Option<bool>)| match seen {
            None => Ending::Responded(model.perform(operation)),
            Some(true) => { model.perform(operation); Ending::Open },
            Some(false) => Ending::Failed(StoreErrorKind::OutcomeUnknown),
        };
        let endings = script.operations.iter().zip(&seen).map(ending).collect();
        let history = history(&script, &times(&widths), endings);
        let order = check(&script.world, &history, model.world());
        prop_assert!(order.is_ok(), "{}", order.unwrap_err());
    }

    #[test]
    fn an_answer_that_the_model_never_gives_is_rejected(
        (script, widths, _) in runs(),
        place in any::<prop::sample::Index>(),
    ) {
        let in_order: Vec<_> = (0..script.operations.len()).collect();
        let (responses, last) = serial(&script, &in_order);
        let mut endings = responded(responses);
        let place = place.index(endings.len());
        endings[place] = Ending::Responded(match &script.operations[place] {
            Operation::Remove(_) => Response::Answer(Err(Refusal::UserNotActive { user: nobody() })),
            Operation::RemoveMany(calls) => Response::Answers(vec![Ok(Outcome::NoChat); calls.len() + 1]),
            _ => Response::Edited(Err(EditRejection::UnknownUser(nobody()))),
        });
        let history = history(&script, &times(&widths), endings);
        let account = check(&script.world, &history, &last).unwrap_err().to_string();
        let from_the_world_on = account.split("// and leads to\n").nth(1);
        let pasted = from_the_world_on.map(str::parse::<Script>);
        prop_assert!(matches!(pasted, Some(Ok(_))), "{pasted:?}\n{account}");
    }

    /// Histories with answers that were right earlier or later, half of them wrong.
    #[test]
    fn the_search_finds_an_order_exactly_if_there_is_one(
        script in strategies::script(1..=4),
        widths in vec((0..40_u64, 0..40_u64), 4),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        unseen in vec(proptest::bool::weighted(0.2), 4),
    ) {
        let number = script.operations.len();
        let order: Vec<_> = order.into_iter().filter(|place| *place < number).collect();
        let (responses, last) = serial(&script, &order);
        let mut endings = responded(responses);
        for (ending, _) in endings.iter_mut().zip(unseen).filter(|(_, unseen)| *unseen) {
            *ending = Ending::Open;
        }
        let history = history(&script, &times(&widths), endings);
        let found = check(&script.world, &history, &last);
        let expected = some_order_fits(&script.world, history.events(), &last);
        prop_assert_eq!(found.is_ok(), expected, "{}\n{:?}", history, found);
    }
}
