//! Users who are not members, and data that a removal does not concern.

use crm_chat_domain::snapshot::{User, UserKind};
use crm_chat_domain::{
    Change, ChatId, ChatRepo, IfAbsent, Outcome, OwnerChange, Refusal, Store, UnitOfWork,
};

use crate::fixtures::{after, change, chat, office, removal, user};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

/// N1: a user who was never a member, and an unknown one, are refused, and nothing is recorded.
pub fn n1_stranger_is_refused<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let stranger = Refusal::NotAMember { user: user(3), chat: chat(8773) };
    test_store.assert_refused(user(1), &removal(3), stranger);
    test_store.assert_refused(user(1), &removal(99), Refusal::UserNotActive { user: user(99) });
    let accepting = removal(3).if_absent(IfAbsent::Accept);
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    test_store.assert_answer(user(1), &accepting, Ok(absent));
    test_store.assert_state(&office());
}

/// N2: the second removal in a row is refused, or finds the user absent if the request accepts
/// that.
pub fn n2_second_removal_in_a_row<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let change = change(12, OwnerChange::Unchanged);
    let accepting = removal(12).if_absent(IfAbsent::Accept);
    test_store.assert_removed(&accepting, &change);
    let gone = Refusal::NotAMember { user: user(12), chat: chat(8773) };
    test_store.assert_refused(user(1), &removal(12), gone);
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    test_store.assert_answer(user(1), &accepting, Ok(absent));
    test_store.assert_state(&after(&office(), &change));
}

/// N3: a member of several chats is removed from the named chat only, and the order of its other
/// members is kept.
pub fn n3_only_the_named_chat_is_left<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let mut named = change(7, OwnerChange::Unchanged);
    named.chat = chat(8800);
    test_store.assert_removed(&removal(7).in_chat(chat(8800)), &named);
    let expected = after(&office(), &named);
    test_store.assert_state(&expected);

    // User 12 owns chat 8800 and is a member of two more.
    let last = change(12, OwnerChange::Unchanged);
    test_store.assert_removed(&removal(12), &last);
    test_store.assert_state(&after(&expected, &last));
}

/// N5: a write that affects no row is not reported as a success. Tested on the write itself, which
/// the rules otherwise guard.
pub fn n5_write_without_effect_is_not_a_success<H: Harness>(cx: &TestContext<H>) {
    let mut world = office();
    world.users.push(User { id: user(99), active: true, kind: UserKind::Human });
    let test_store = cx.open(&world);
    for owner in [OwnerChange::Unchanged, OwnerChange::Vacant, OwnerChange::PassesTo(user(13))] {
        assert_writes_nothing(&test_store, chat(8773), 99, owner);
        assert_writes_nothing(&test_store, chat(404), 12, owner);
    }
    test_store.assert_state(&world);
}

fn assert_writes_nothing<H: Harness>(
    test_store: &TestStore<'_, H>,
    chat: ChatId,
    leaving: i64,
    owner: OwnerChange,
) {
    let change = Change { chat, ..change(leaving, owner) };
    test_store.record(format!("// a transaction of one write, and its commit: {change:?}"));
    let removed = test_store.block_on(async {
        let mut tx = test_store.store().begin().await?;
        let removed = tx.remove_member(&change).await?;
        tx.commit().await.map(|()| removed)
    });
    match removed {
        Ok(removed) => test_store.assert_eq("a member was removed", &false, &removed),
        Err(error) => test_store.fail("a member was removed: false", error.report()),
    }
}
