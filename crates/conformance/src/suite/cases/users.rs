//! Actors, users and rights.

use crm_chat_domain::snapshot::{AccessGrant, RemovalRight};
use crm_chat_domain::{Edit, IfAbsent, Outcome, OwnerChange, Refusal};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user, user_of};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;

/// U1: an inactive or unknown user is refused by rule 11, member or not, whatever the request
/// accepts, until the user is activated.
pub fn u1_inactive_user_is_refused<H: Harness>(cx: &TestContext<H>) {
    let mut world = office();
    chat_of(&mut world, chat(8773)).members.push(user(99));
    user_of(&mut world, user(3)).active = false;
    let test_store = cx.open(&world);
    // Inactive and unknown users, each as a member and as a stranger.
    for refused in [14, 3, 99, 98] {
        let inactive = Refusal::UserNotActive { user: user(refused) };
        for option in [IfAbsent::Refuse, IfAbsent::Accept] {
            test_store.assert_refused(user(1), &removal(refused).if_absent(option), inactive);
        }
    }
    test_store.assert_state(&world);

    test_store.edit(&Edit::ActivateUser { user: user(14) });
    test_store.assert_removed(&removal(14), &change(14, OwnerChange::Unchanged));
}

/// U2: a right is queried for A (denied) and then for B (granted), and the reverse, on one store
/// and in one transaction.
pub fn u2_rights_are_checked_per_actor<H: Harness>(cx: &TestContext<H>) {
    let deal = entity("deal:288");
    let no_access = Err(Refusal::AccessDenied { actor: user(4), entity: deal });
    let no_right = Err(Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal });
    let removed = |id| Ok(Outcome::Removed(change(id, OwnerChange::Unchanged)));
    let removals = [
        (4, 12, no_access),
        (2, 12, no_right),
        (1, 12, removed(12)),
        (4, 13, no_access),
        (2, 13, no_right),
        (1, 13, removed(13)),
    ];

    let test_store = cx.open(&office());
    for (actor, leaving, expected) in removals {
        test_store.assert_answer(user(actor), &removal(leaving), expected);
    }
    let test_store = cx.open(&office());
    let batch = removals.map(|(actor, leaving, _)| (user(actor), removal(leaving)));
    let answers = test_store.remove_all(&batch);
    let expected = removals.map(|(_, _, expected)| expected).to_vec();
    test_store.assert_eq("the answers", &Ok(expected), &answers);

    // A right that is granted or revoked after it was queried.
    let test_store = cx.open(&office());
    test_store.assert_answer(user(4), &removal(12), no_access);
    let access = AccessGrant { user: user(4), entity: deal };
    let right = RemovalRight { user: user(4), chat: chat(8773) };
    test_store.edit(&Edit::GrantAccess(access));
    test_store.edit(&Edit::GrantRemoval(right));
    let mut by_four = change(12, OwnerChange::Unchanged);
    by_four.actor = user(4);
    test_store.assert_removed(&removal(12), &by_four);
    test_store.edit(&Edit::RevokeAccess(access));
    test_store.assert_answer(user(4), &removal(13), no_access);
}

/// U3: access to the entity without the right to remove, and the right without access, are refused
/// by rules 10 and 7.
pub fn u3_rights_are_separate<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let deal = entity("deal:288");
    let denied = Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal };
    test_store.assert_refused(user(2), &removal(12), denied);
    let denied = Refusal::AccessDenied { actor: user(3), entity: deal };
    test_store.assert_refused(user(3), &removal(12), denied);
    // The right in one chat does not apply to another.
    let denied = Refusal::RemovalDenied { actor: user(7), chat: chat(8800), entity: deal };
    test_store.assert_refused(user(7), &removal(12).in_chat(chat(8800)), denied);
    test_store.assert_state(&office());
}

/// U4: the actor removes itself, a bot and an external user by the same rules.
pub fn u4_self_bots_and_external_users_follow_the_same_rules<H: Harness>(cx: &TestContext<H>) {
    for leaving in [20, 21] {
        let test_store = cx.open(&office());
        let change = change(leaving, OwnerChange::Unchanged);
        test_store.assert_removed(&removal(leaving), &change);
        test_store.assert_state(&after(&office(), &change));
    }
    let test_store = cx.open(&office());
    let mut itself = change(7, OwnerChange::PassesTo(user(13)));
    itself.actor = user(7);
    test_store.assert_removed(&removal(7), &itself);
    test_store.assert_state(&after(&office(), &itself));
    // Its right is the one it was granted, so leaving the chat does not end it.
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    test_store.assert_refused(user(7), &removal(7), gone);
}
