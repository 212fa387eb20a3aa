//! Entities, their chats, and the order of the rules.

use crm_chat_domain::snapshot::{AccessGrant, Link};
use crm_chat_domain::{
    Answer, Argument, Edit, IfAbsent, Input, Outcome, OwnerChange, Refusal, Removal, Request, Rule,
    Snapshot,
};

use crate::fixtures::{change, chat, entity, office, removal, user};
use crate::{Harness, Lab, Subject};

mod edits;

pub use edits::{e6_deleted_chat_leaves_nothing, e6_edits_do_what_they_say};

/// E1: chat linked to two entities, actor may access one: judged by the named entity only.
pub fn e1_named_entity_decides<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let company = entity("company:6");
    let denied = Refusal::AccessDenied { actor: user(1), entity: company };
    for named in
        [Removal::new(company, user(12)), Removal::new(company, user(12)).in_chat(chat(8773))]
    {
        subject.refuses(user(1), &named, denied);
    }
    let through_deal = change(12, OwnerChange::Unchanged);
    subject.removes(&removal(12), &through_deal);

    subject.edit(&Edit::GrantAccess(AccessGrant { user: user(1), entity: company }));
    let mut through_company = change(13, OwnerChange::Unchanged);
    through_company.entity = company;
    subject.removes(&Removal::new(company, user(13)), &through_company);
}

/// E2: entity with several chats, re-linked order: the newest link is the last chat.
pub fn e2_newest_link_is_last<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let to = |id| Link { entity: entity("deal:288"), chat: chat(id) };
    is_last(&subject, 8773);
    let steps = [
        (Edit::Link(to(8800)), 8800),
        (Edit::Link(to(8773)), 8773),
        (Edit::Link(to(9000)), 9000),
        (Edit::Link(to(12)), 12),
        (Edit::Link(to(8800)), 8800),
        (Edit::Unlink(to(12)), 8800),
        (Edit::Unlink(to(8800)), 9000),
        (Edit::DeleteChat { chat: chat(9000) }, 8773),
        (Edit::Link(to(8800)), 8800),
    ];
    for (edit, last) in steps {
        subject.edit(&edit);
        is_last(&subject, last);
    }
    let made = subject.dump().links.into_iter().filter(|link| link.entity == entity("deal:288"));
    subject.same("the links in their order", &vec![to(8773), to(8800)], &made.collect());
}

fn is_last<H: Harness>(subject: &Subject<'_, H>, last: i64) {
    // No member of any chat: the answer names the chat, and nothing changes.
    let asked = removal(3).if_absent(IfAbsent::Accept);
    let expected = if last == 12 {
        Err(Refusal::RemovalDenied { actor: user(1), chat: chat(12), entity: entity("deal:288") })
    } else {
        Ok(Outcome::AlreadyAbsent { chat: chat(last) })
    };
    subject.answers(user(1), &asked, expected);
}

/// E3: entity without chat, `CHAT_ID` absent: no chat, whoever is to be removed; nothing changes.
pub fn e3_no_chat<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    for leaving in [12, 14, 99] {
        for option in [IfAbsent::Refuse, IfAbsent::Accept] {
            let asked = Removal::new(entity("deal:289"), user(leaving)).if_absent(option);
            subject.answers(user(1), &asked, Ok(Outcome::NoChat));
        }
    }
    subject.holds(&office());
}

/// E4: the chat exists but belongs elsewhere; the chat does not exist: rule 9 for both.
pub fn e4_chat_elsewhere<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    for elsewhere in [9000, 12, 404] {
        let refusal = Refusal::ChatNotInCrm { chat: chat(elsewhere), entity: entity("deal:288") };
        subject.refuses(user(1), &removal(12).in_chat(chat(elsewhere)), refusal);
    }
    subject.edit(&Edit::DeleteChat { chat: chat(8773) });
    let deleted = Refusal::ChatNotInCrm { chat: chat(8773), entity: entity("deal:288") };
    subject.refuses(user(1), &removal(12).in_chat(chat(8773)), deleted);
}

/// E5: messenger not installed: rule 6, before permissions.
pub fn e5_messenger_comes_first<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    subject.edit(&Edit::SetMessenger { installed: false });
    for actor in [1, 2, 3, 4, 99] {
        subject.refuses(user(actor), &removal(12), Refusal::MessengerNotInstalled);
    }
    subject.edit(&Edit::SetMessenger { installed: true });
    subject.removes(&removal(12), &change(12, OwnerChange::Unchanged));
}

/// E6: each fault by itself, and each pair at once: the earlier rule decides; every code is reachable.
pub fn e6_earlier_rule_decides<H: Harness>(lab: &Lab<H>) {
    for (place, &earlier) in Rule::ALL.iter().enumerate() {
        for &later in &Rule::ALL[place..] {
            let (mut world, mut request) = (office(), Request::from(&removal(12)));
            // The earlier last: two faults of one field cannot stand together.
            break_rule(later, &mut world, &mut request);
            break_rule(earlier, &mut world, &mut request);
            decides(&lab.open(&world), earlier, &request);
        }
    }
}

fn decides<H: Harness>(subject: &Subject<'_, H>, rule: Rule, request: &Request) {
    let expected = answer_of(rule);
    let explanation = subject.explain(subject.store(), user(1), request);
    subject.same("what decides", &Some((rule, expected)), &explanation.deciding());
    match request.parse() {
        Ok(removal) => subject.answers(user(1), &removal, expected),
        Err(refusal) => subject.same("the refusal", &expected, &Err(refusal)),
    }
    subject.holds(subject.world());
}

fn break_rule(rule: Rule, world: &mut Snapshot, request: &mut Request) {
    match rule {
        Rule::UserId => request.user_id = "12abc".into(),
        Rule::CrmData => request.crm_entity = Input::Absent,
        Rule::EntityId => request.crm_entity = "12abc".into(),
        Rule::ChatId => request.chat_id = "12abc".into(),
        Rule::EntityKind => request.crm_entity_type = "order".into(),
        Rule::Messenger => world.messenger_installed = false,
        Rule::Access => world.access.retain(|access| access.user != user(1)),
        Rule::Chat => {
            request.chat_id = Input::Absent;
            world.links.retain(|link| link.entity != entity("deal:288"));
        }
        Rule::Link => request.chat_id = 9000_u64.into(),
        Rule::Permission => world.removers.retain(|remover| remover.user != user(1)),
        Rule::ActiveUser => world.users.retain(|known| known.id != user(12)),
        Rule::Member => {
            for members in world.chats.iter_mut().map(|chat| &mut chat.members) {
                members.retain(|member| *member != user(12));
            }
            for owner in world.chats.iter_mut().map(|chat| &mut chat.owner) {
                *owner = owner.filter(|owner| *owner != user(12));
            }
        }
    }
}

fn answer_of(rule: Rule) -> Answer {
    let (actor, entity) = (user(1), entity("deal:288"));
    Err(match rule {
        Rule::UserId => Refusal::EmptyUser,
        Rule::CrmData => Refusal::EmptyCrmData,
        Rule::EntityId => Refusal::InvalidArgument(Argument::CrmEntity),
        Rule::ChatId => Refusal::InvalidArgument(Argument::ChatId),
        Rule::EntityKind => Refusal::UnknownEntityKind,
        Rule::Messenger => Refusal::MessengerNotInstalled,
        Rule::Access => Refusal::AccessDenied { actor, entity },
        Rule::Chat => return Ok(Outcome::NoChat),
        Rule::Link => Refusal::ChatNotInCrm { chat: chat(9000), entity },
        Rule::Permission => Refusal::RemovalDenied { actor, chat: chat(8773), entity },
        Rule::ActiveUser => Refusal::UserNotActive { user: user(12) },
        Rule::Member => Refusal::NotAMember { user: user(12), chat: chat(8773) },
    })
}
