//! Batches.

use crm_chat_domain::snapshot::{User, UserKind};
use crm_chat_domain::{IfAbsent, Outcome, OwnerChange, Refusal, UserId};

use crate::fixtures::{after, change, chat, chat_of, office, removal, user};
use crate::{Harness, Lab};

/// K1: ten requests, one refused: nine done, one refused, each answer true, each seeing what those before it did.
pub fn k1_one_of_ten_refused<H: Harness>(lab: &Lab<H>) {
    let mut world = office();
    let newcomers: Vec<UserId> = (101..=105).map(user).collect();
    world.users.extend(newcomers.iter().map(|id| User {
        id: *id,
        active: true,
        kind: UserKind::Human,
    }));
    chat_of(&mut world, chat(8773)).members.extend(newcomers);
    let subject = lab.open(&world);

    // The owner's successor is the member who joined earliest of those whom the requests before left.
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
    let answers = subject.remove_all(&batch);
    let inactive = Refusal::UserNotActive { user: user(14) };
    let changes = steps.map(|(leaving, owner)| owner.map(|owner| change(leaving, owner)));
    let expected = changes.map(|made| made.map(Outcome::Removed).ok_or(inactive));
    subject.same("the answers", &Ok(expected.to_vec()), &answers);
    let made = changes.iter().flatten();
    subject.holds(&made.fold(world, |world, change| after(&world, change)));
}

/// K2: the same request twice in a batch: one change, one record.
pub fn k2_same_request_twice<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let first = change(7, OwnerChange::PassesTo(user(13)));
    let accepting = removal(7).if_absent(IfAbsent::Accept);
    let batch = [removal(7), removal(7), accepting].map(|removal| (user(1), removal));
    let answers = subject.remove_all(&batch);
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    let expected = vec![Ok(Outcome::Removed(first)), Err(gone), Ok(absent)];
    subject.same("the answers", &Ok(expected), &answers);
    subject.holds(&after(&office(), &first));
}
