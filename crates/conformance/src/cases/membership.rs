//! Who is no member, and what is out of scope.

use crm_chat_domain::snapshot::{User, UserKind};
use crm_chat_domain::{
    Change, ChatId, ChatRepo, IfAbsent, Outcome, OwnerChange, Refusal, Store, UnitOfWork,
};

use crate::fixtures::{after, change, chat, office, removal, user};
use crate::{Harness, Lab, Subject};

/// N1: never a member, or unknown user: refusal, and no record.
pub fn n1_stranger_is_refused<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let stranger = Refusal::NotAMember { user: user(3), chat: chat(8773) };
    subject.refuses(user(1), &removal(3), stranger);
    subject.refuses(user(1), &removal(99), Refusal::UserNotActive { user: user(99) });
    let accepting = removal(3).if_absent(IfAbsent::Accept);
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    subject.answers(user(1), &accepting, Ok(absent));
    subject.holds(&office());
}

/// N2: removed twice in a row: the second is refused, or finds the user absent by option.
pub fn n2_second_removal_in_a_row<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let change = change(12, OwnerChange::Unchanged);
    let accepting = removal(12).if_absent(IfAbsent::Accept);
    subject.removes(&accepting, &change);
    let gone = Refusal::NotAMember { user: user(12), chat: chat(8773) };
    subject.refuses(user(1), &removal(12), gone);
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    subject.answers(user(1), &accepting, Ok(absent));
    subject.holds(&after(&office(), &change));
}

/// N3: member of many chats: only the named chat is left, and its other members stay in their order.
pub fn n3_only_the_named_chat_is_left<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let mut named = change(7, OwnerChange::Unchanged);
    named.chat = chat(8800);
    subject.removes(&removal(7).in_chat(chat(8800)), &named);
    let expected = after(&office(), &named);
    subject.holds(&expected);

    // Owner of 8800 and member of two more.
    let last = change(12, OwnerChange::Unchanged);
    subject.removes(&removal(12), &last);
    subject.holds(&after(&expected, &last));
}

/// N5: zero rows affected: never reported as success. Asked of the write itself, which the rules guard otherwise.
pub fn n5_no_row_is_no_success<H: Harness>(lab: &Lab<H>) {
    let mut world = office();
    world.users.push(User { id: user(99), active: true, kind: UserKind::Human });
    let subject = lab.open(&world);
    for owner in [OwnerChange::Unchanged, OwnerChange::Vacant, OwnerChange::PassesTo(user(13))] {
        writes_nothing(&subject, chat(8773), 99, owner);
        writes_nothing(&subject, chat(404), 12, owner);
    }
    subject.holds(&world);
}

fn writes_nothing<H: Harness>(
    subject: &Subject<'_, H>,
    chat: ChatId,
    leaving: i64,
    owner: OwnerChange,
) {
    let change = Change { chat, ..change(leaving, owner) };
    subject.note(format!("// a transaction of one write, and its commit: {change:?}"));
    let removed = subject.block_on(async {
        let mut tx = subject.store().begin().await?;
        let removed = tx.remove_member(&change).await?;
        tx.commit().await.map(|()| removed)
    });
    match removed {
        Ok(removed) => subject.same("a member was removed", &false, &removed),
        Err(error) => subject.fail("a member was removed: false", error.report()),
    }
}
