//! Actors, users and rights.

use crm_chat_domain::snapshot::{AccessGrant, RemovalRight};
use crm_chat_domain::{Edit, IfAbsent, Outcome, OwnerChange, Refusal};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user, user_of};
use crate::{Harness, Lab};

/// U1: inactive user, unknown user: rule 11, member or not, whatever is accepted, and until the user is activated.
pub fn u1_inactive_user_is_refused<H: Harness>(lab: &Lab<H>) {
    let mut world = office();
    chat_of(&mut world, chat(8773)).members.push(user(99));
    user_of(&mut world, user(3)).active = false;
    let subject = lab.open(&world);
    // Inactive or unknown; of each a member and a stranger.
    for refused in [14, 3, 99, 98] {
        let inactive = Refusal::UserNotActive { user: user(refused) };
        for option in [IfAbsent::Refuse, IfAbsent::Accept] {
            subject.refuses(user(1), &removal(refused).if_absent(option), inactive);
        }
    }
    subject.holds(&world);

    subject.edit(&Edit::ActivateUser { user: user(14) });
    subject.removes(&removal(14), &change(14, OwnerChange::Unchanged));
}

/// U2: permission asked for A (no) then B (yes), and the reverse, on one store and in one transaction.
pub fn u2_answers_do_not_depend_on_who_asked_before<H: Harness>(lab: &Lab<H>) {
    let deal = entity("deal:288");
    let no_access = Err(Refusal::AccessDenied { actor: user(4), entity: deal });
    let no_right = Err(Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal });
    let removed = |id| Ok(Outcome::Removed(change(id, OwnerChange::Unchanged)));
    let asked = [
        (4, 12, no_access),
        (2, 12, no_right),
        (1, 12, removed(12)),
        (4, 13, no_access),
        (2, 13, no_right),
        (1, 13, removed(13)),
    ];

    let subject = lab.open(&office());
    for (actor, leaving, expected) in asked {
        subject.answers(user(actor), &removal(leaving), expected);
    }
    let subject = lab.open(&office());
    let batch = asked.map(|(actor, leaving, _)| (user(actor), removal(leaving)));
    let answers = subject.remove_all(&batch);
    let expected = asked.map(|(_, _, expected)| expected).to_vec();
    subject.same("the answers", &Ok(expected), &answers);

    // A right that was asked for and granted, or revoked, since.
    let subject = lab.open(&office());
    subject.answers(user(4), &removal(12), no_access);
    let access = AccessGrant { user: user(4), entity: deal };
    let right = RemovalRight { user: user(4), chat: chat(8773) };
    subject.edit(&Edit::GrantAccess(access));
    subject.edit(&Edit::GrantRemoval(right));
    let mut by_four = change(12, OwnerChange::Unchanged);
    by_four.actor = user(4);
    subject.removes(&removal(12), &by_four);
    subject.edit(&Edit::RevokeAccess(access));
    subject.answers(user(4), &removal(13), no_access);
}

/// U3: access to the entity but no right to remove; the right but no access: rules 10 and 7, each by itself.
pub fn u3_rights_are_separate<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let deal = entity("deal:288");
    let denied = Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal };
    subject.refuses(user(2), &removal(12), denied);
    let denied = Refusal::AccessDenied { actor: user(3), entity: deal };
    subject.refuses(user(3), &removal(12), denied);
    // Right in one chat, and asked about another.
    let denied = Refusal::RemovalDenied { actor: user(7), chat: chat(8800), entity: deal };
    subject.refuses(user(7), &removal(12).in_chat(chat(8800)), denied);
    subject.holds(&office());
}

/// U4: the actor removes itself; the target is a bot; the target is external: the rules apply to all alike.
pub fn u4_rules_apply_to_all_alike<H: Harness>(lab: &Lab<H>) {
    for leaving in [20, 21] {
        let subject = lab.open(&office());
        let change = change(leaving, OwnerChange::Unchanged);
        subject.removes(&removal(leaving), &change);
        subject.holds(&after(&office(), &change));
    }
    let subject = lab.open(&office());
    let mut itself = change(7, OwnerChange::PassesTo(user(13)));
    itself.actor = user(7);
    subject.removes(&removal(7), &itself);
    subject.holds(&after(&office(), &itself));
    // And has no right in the chat that it is not a member of any more, but the right that it was given.
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    subject.refuses(user(7), &removal(7), gone);
}
