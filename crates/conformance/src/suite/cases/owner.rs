//! The owner of a chat, and succession.

use crm_chat_domain::{Edit, OwnerChange, Refusal, Removal, Snapshot};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user, user_of};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;

/// O1: when the owner is removed, the active human who joined earliest owns the chat, whether that
/// was before or after the owner joined.
pub fn o1_earliest_active_human_succeeds<H: Harness>(cx: &TestContext<H>) {
    let mut owner_joined_last = office();
    let members = &mut chat_of(&mut owner_joined_last, chat(8773)).members;
    members.retain(|member| *member != user(7));
    members.push(user(7));
    for world in [office(), owner_joined_last] {
        let test_store = cx.open(&world);
        let change = change(7, OwnerChange::PassesTo(user(13)));
        test_store.assert_removed(&removal(7), &change);
        test_store.assert_state(&after(&world, &change));
    }
}

/// O2: if all other members are bots, external, inactive or unknown, the chat has no owner.
pub fn o2_ineligible_members_never_own<H: Harness>(cx: &TestContext<H>) {
    let candidates = [vec![20], vec![21], vec![14], vec![99], vec![99, 20, 14, 21]];
    for others in candidates {
        let world = office_with_owner_and(&others);
        let test_store = cx.open(&world);
        let change = change(7, OwnerChange::Vacant);
        test_store.assert_removed(&removal(7), &change);
        test_store.assert_state(&after(&world, &change));
    }
}

fn office_with_owner_and(others: &[i64]) -> Snapshot {
    let mut world = office();
    let members = &mut chat_of(&mut world, chat(8773)).members;
    *members = others.iter().copied().chain([7]).map(user).collect();
    world
}

/// O3: a refused removal of the owner keeps the owner, whichever rule refused.
pub fn o3_refusal_keeps_owner<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let (deal, lead) = (entity("deal:288"), entity("lead:5"));
    let no_access = Refusal::AccessDenied { actor: user(3), entity: deal };
    test_store.assert_refused(user(3), &removal(7), no_access);
    let denied = Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal };
    test_store.assert_refused(user(2), &removal(7), denied);
    let foreign = Refusal::ChatNotInCrm { chat: chat(8773), entity: lead };
    let through_lead = Removal::new(lead, user(7)).in_chat(chat(8773));
    test_store.assert_refused(user(1), &through_lead, foreign);
    test_store.assert_state(&office());

    test_store.edit(&Edit::DeactivateUser { user: user(7) });
    test_store.assert_refused(user(1), &removal(7), Refusal::UserNotActive { user: user(7) });
    let mut inactive = office();
    user_of(&mut inactive, user(7)).active = false;
    test_store.assert_state(&inactive);
}

/// O4: removing another member, even the expected successor, keeps the owner.
pub fn o4_owner_stays_when_member_is_removed<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let mut expected = office();
    for member in [13, 20, 12] {
        let change = change(member, OwnerChange::Unchanged);
        test_store.assert_removed(&removal(member), &change);
        expected = after(&expected, &change);
        test_store.assert_state(&expected);
    }
}

/// O5: a chat whose last member is removed still exists, is empty, has no owner and keeps its
/// links.
pub fn o5_last_member_leaves<H: Harness>(cx: &TestContext<H>) {
    let world = office_with_owner_and(&[]);
    let test_store = cx.open(&world);
    let change = change(7, OwnerChange::Vacant);
    test_store.assert_removed(&removal(7), &change);
    test_store.assert_state(&after(&world, &change));
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    test_store.assert_refused(user(1), &removal(7), gone);
}

/// O6: a former owner who joins again is an ordinary member, last in the order.
pub fn o6_former_owner_returns_as_member<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let first = change(7, OwnerChange::PassesTo(user(13)));
    test_store.assert_removed(&removal(7), &first);
    test_store.edit(&Edit::Join { chat: chat(8773), user: user(7) });
    let mut expected = after(&office(), &first);
    chat_of(&mut expected, chat(8773)).members.push(user(7));
    test_store.assert_state(&expected);

    // User 12 joined before 7 came back.
    let second = change(13, OwnerChange::PassesTo(user(12)));
    test_store.assert_removed(&removal(13), &second);
    let third = change(7, OwnerChange::Unchanged);
    test_store.assert_removed(&removal(7), &third);
    test_store.assert_state(&after(&after(&expected, &second), &third));
}
