//! Batches.

use crm_chat_domain::snapshot::{User, UserKind};
use crm_chat_domain::{IfAbsent, Outcome, OwnerChange, Refusal, UserId};

use crate::fixtures::{after, change, chat, chat_of, office, removal, user};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;

/// K1: of ten requests one is refused and nine are made; every answer is correct, and each request
/// sees the effects of those before it.
pub fn k1_one_of_ten_refused<H: Harness>(cx: &TestContext<H>) {
    let mut world = office();
    // More members than the office has, so that several successors follow one another.
    let newcomers: Vec<UserId> = (101..=105).map(user).collect();
    world.users.extend(newcomers.iter().map(|id| User {
        id: *id,
        active: true,
        kind: UserKind::Human,
    }));
    chat_of(&mut world, chat(8773)).members.extend(newcomers);
    let test_store = cx.open(&world);

    // The successor is the earliest of the members that the requests before have left.
    let steps = [
        (20, Some(OwnerChange::Unchanged)),
        (13, Some(OwnerChange::Unchanged)),
        (101, Some(OwnerChange::Unchanged)),
        (7, Some(OwnerChange::PassesTo(user(12)))),
        (14, None),
        (12, Some(OwnerChange::PassesTo(user(102)))),
        (104, Some(OwnerChange::Unchanged)),
        (102, Some(OwnerChange::PassesTo(user(103)))),
        (105, Some(OwnerChange::Unchanged)),
        (103, Some(OwnerChange::Vacant)),
    ];
    let batch = steps.map(|(leaving, _)| (user(1), removal(leaving)));
    let answers = test_store.remove_all(&batch);
    let inactive = Refusal::UserNotActive { user: user(14) };
    let changes = steps.map(|(leaving, owner)| owner.map(|owner| change(leaving, owner)));
    let expected = changes.map(|change| change.map(Outcome::Removed).ok_or(inactive));
    test_store.assert_eq("the answers", &Ok(expected.to_vec()), &answers);
    let changes = changes.iter().flatten();
    test_store.assert_state(&changes.fold(world, |world, change| after(&world, change)));
}

/// K2: the same request twice in a batch makes one change and one record.
pub fn k2_same_request_twice<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let first = change(7, OwnerChange::PassesTo(user(13)));
    let accepting = removal(7).if_absent(IfAbsent::Accept);
    let batch = [removal(7), removal(7), accepting].map(|removal| (user(1), removal));
    let answers = test_store.remove_all(&batch);
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    let expected = vec![Ok(Outcome::Removed(first)), Err(gone), Ok(absent)];
    test_store.assert_eq("the answers", &Ok(expected), &answers);
    test_store.assert_state(&after(&office(), &first));
}
