//! What becomes of a chat's owner.

use crm_chat_domain::{Edit, OwnerChange, Refusal, Removal, Snapshot};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user, user_of};
use crate::{Harness, Lab};

/// O1: owner removed: the earliest-joined active human owns the chat, whether it joined before the owner or after.
pub fn o1_earliest_active_human_succeeds<H: Harness>(lab: &Lab<H>) {
    let mut owner_joined_last = office();
    let members = &mut chat_of(&mut owner_joined_last, chat(8773)).members;
    members.retain(|member| *member != user(7));
    members.push(user(7));
    for world in [office(), owner_joined_last] {
        let subject = lab.open(&world);
        let change = change(7, OwnerChange::PassesTo(user(13)));
        subject.removes(&removal(7), &change);
        subject.holds(&after(&world, &change));
    }
}

/// O2: the only candidates are bots, external, inactive or unknown: no owner.
pub fn o2_nobody_else_may_own<H: Harness>(lab: &Lab<H>) {
    let candidates = [vec![20], vec![21], vec![14], vec![99], vec![99, 20, 14, 21]];
    for others in candidates {
        let world = chat_of_owner_and(&others);
        let subject = lab.open(&world);
        let change = change(7, OwnerChange::Vacant);
        subject.removes(&removal(7), &change);
        subject.holds(&after(&world, &change));
    }
}

fn chat_of_owner_and(others: &[i64]) -> Snapshot {
    let mut world = office();
    let members = &mut chat_of(&mut world, chat(8773)).members;
    *members = others.iter().copied().chain([7]).map(user).collect();
    world
}

/// O3: refused removal of the owner: the owner is unchanged, whichever rule refused.
pub fn o3_refusal_leaves_the_owner<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let (deal, lead) = (entity("deal:288"), entity("lead:5"));
    let no_access = Refusal::AccessDenied { actor: user(3), entity: deal };
    subject.refuses(user(3), &removal(7), no_access);
    let denied = Refusal::RemovalDenied { actor: user(2), chat: chat(8773), entity: deal };
    subject.refuses(user(2), &removal(7), denied);
    let foreign = Refusal::ChatNotInCrm { chat: chat(8773), entity: lead };
    let through_lead = Removal::new(lead, user(7)).in_chat(chat(8773));
    subject.refuses(user(1), &through_lead, foreign);
    subject.holds(&office());

    subject.edit(&Edit::DeactivateUser { user: user(7) });
    subject.refuses(user(1), &removal(7), Refusal::UserNotActive { user: user(7) });
    let mut inactive = office();
    user_of(&mut inactive, user(7)).active = false;
    subject.holds(&inactive);
}

/// O4: a non-owner removed, the would-be successor too: the owner is unchanged.
pub fn o4_member_leaves_owner_stays<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let mut expected = office();
    for member in [13, 20, 12] {
        let change = change(member, OwnerChange::Unchanged);
        subject.removes(&removal(member), &change);
        expected = after(&expected, &change);
        subject.holds(&expected);
    }
}

/// O5: the last member removed: the chat exists, empty, without an owner, still linked.
pub fn o5_last_member_leaves<H: Harness>(lab: &Lab<H>) {
    let world = chat_of_owner_and(&[]);
    let subject = lab.open(&world);
    let change = change(7, OwnerChange::Vacant);
    subject.removes(&removal(7), &change);
    subject.holds(&after(&world, &change));
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    subject.refuses(user(1), &removal(7), gone);
}

/// O6: former owner re-added: an ordinary member, at the end of the order.
pub fn o6_former_owner_returns_as_member<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let first = change(7, OwnerChange::PassesTo(user(13)));
    subject.removes(&removal(7), &first);
    subject.edit(&Edit::Join { chat: chat(8773), user: user(7) });
    let mut expected = after(&office(), &first);
    chat_of(&mut expected, chat(8773)).members.push(user(7));
    subject.holds(&expected);

    // 12 joined before 7 came back.
    let second = change(13, OwnerChange::PassesTo(user(12)));
    subject.removes(&removal(13), &second);
    let third = change(7, OwnerChange::Unchanged);
    subject.removes(&removal(7), &third);
    subject.holds(&after(&after(&expected, &second), &third));
}
