//! Entities, their chats, and the order of the rules.

use crm_chat_domain::snapshot::{AccessGrant, Link};
use crm_chat_domain::{
    Answer, Argument, Edit, IfAbsent, Input, Outcome, OwnerChange, Refusal, Removal, Request, Rule,
    Snapshot,
};

use crate::fixtures::{change, chat, entity, office, removal, user};
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

/// E1: the chat is linked to two entities and the actor may access one; only the entity named in
/// the request counts.
pub fn e1_named_entity_decides<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let company = entity("company:6");
    let denied = Refusal::AccessDenied { actor: user(1), entity: company };
    for named in
        [Removal::new(company, user(12)), Removal::new(company, user(12)).in_chat(chat(8773))]
    {
        test_store.assert_refused(user(1), &named, denied);
    }
    let through_deal = change(12, OwnerChange::Unchanged);
    test_store.assert_removed(&removal(12), &through_deal);

    test_store.edit(&Edit::GrantAccess(AccessGrant { user: user(1), entity: company }));
    let mut through_company = change(13, OwnerChange::Unchanged);
    through_company.entity = company;
    test_store.assert_removed(&Removal::new(company, user(13)), &through_company);
}

/// E2: an entity with several chats, linked and relinked in different orders; the newest link is
/// the last chat.
pub fn e2_newest_link_is_last_chat<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let link_to = |id| Link { entity: entity("deal:288"), chat: chat(id) };
    assert_last_chat(&test_store, 8773);
    let steps = [
        (Edit::Link(link_to(8800)), 8800),
        (Edit::Link(link_to(8773)), 8773),
        (Edit::Link(link_to(9000)), 9000),
        (Edit::Link(link_to(12)), 12),
        (Edit::Link(link_to(8800)), 8800),
        (Edit::Unlink(link_to(12)), 8800),
        (Edit::Unlink(link_to(8800)), 9000),
        (Edit::DeleteChat { chat: chat(9000) }, 8773),
        (Edit::Link(link_to(8800)), 8800),
    ];
    for (edit, last) in steps {
        // Check after every step: an error of order may cancel out later.
        test_store.edit(&edit);
        assert_last_chat(&test_store, last);
    }
    let links =
        test_store.dump().links.into_iter().filter(|link| link.entity == entity("deal:288"));
    test_store.assert_eq(
        "the links in their order",
        &vec![link_to(8773), link_to(8800)],
        &links.collect(),
    );
}

fn assert_last_chat<H: Harness>(test_store: &TestStore<'_, H>, last: i64) {
    // User 3 is not a member of any chat: the answer names the chat, and nothing changes.
    let removal = removal(3).if_absent(IfAbsent::Accept);
    // The actor has no right in chat 12, so there the refusal names it.
    let expected = if last == 12 {
        Err(Refusal::RemovalDenied { actor: user(1), chat: chat(12), entity: entity("deal:288") })
    } else {
        Ok(Outcome::AlreadyAbsent { chat: chat(last) })
    };
    test_store.assert_answer(user(1), &removal, expected);
}

/// E3: an entity without a chat and a request without `CHAT_ID` give *no chat* for every user, and
/// nothing changes.
pub fn e3_no_chat<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    for leaving in [12, 14, 99] {
        for option in [IfAbsent::Refuse, IfAbsent::Accept] {
            let request = Removal::new(entity("deal:289"), user(leaving)).if_absent(option);
            test_store.assert_answer(user(1), &request, Ok(Outcome::NoChat));
        }
    }
    test_store.assert_state(&office());
}

/// E4: the chat exists but is linked elsewhere, or does not exist; rule 9 refuses both.
pub fn e4_chat_linked_elsewhere<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    for elsewhere in [9000, 12, 404] {
        let refusal = Refusal::ChatNotInCrm { chat: chat(elsewhere), entity: entity("deal:288") };
        test_store.assert_refused(user(1), &removal(12).in_chat(chat(elsewhere)), refusal);
    }
    test_store.edit(&Edit::DeleteChat { chat: chat(8773) });
    let deleted = Refusal::ChatNotInCrm { chat: chat(8773), entity: entity("deal:288") };
    test_store.assert_refused(user(1), &removal(12).in_chat(chat(8773)), deleted);
}

/// E5: rule 6 refuses every removal while the messenger is not installed, before permissions.
pub fn e5_messenger_comes_first<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    test_store.edit(&Edit::SetMessenger { installed: false });
    for actor in [1, 2, 3, 4, 99] {
        test_store.assert_refused(user(actor), &removal(12), Refusal::MessengerNotInstalled);
    }
    test_store.edit(&Edit::SetMessenger { installed: true });
    test_store.assert_removed(&removal(12), &change(12, OwnerChange::Unchanged));
}

/// E6: each rule broken alone, and each pair broken together; the earlier rule decides, and every
/// error code is reachable.
pub fn e6_earlier_rule_decides<H: Harness>(cx: &TestContext<H>) {
    for (index, &earlier) in Rule::ALL.iter().enumerate() {
        for &later in &Rule::ALL[index..] {
            let (mut world, mut request) = (office(), Request::from(&removal(12)));
            // Break the earlier rule last: if both concern the same field, its value must stay.
            break_rule(later, &mut world, &mut request);
            break_rule(earlier, &mut world, &mut request);
            assert_decides(&cx.open(&world), earlier, &request);
        }
    }
}

fn assert_decides<H: Harness>(test_store: &TestStore<'_, H>, rule: Rule, request: &Request) {
    let expected = answer_of(rule);
    let explanation = test_store.explain(test_store.store(), user(1), request);
    test_store.assert_eq("the deciding rule", &Some((rule, expected)), &explanation.deciding());
    match request.parse() {
        Ok(removal) => test_store.assert_answer(user(1), &removal, expected),
        Err(refusal) => test_store.assert_eq("the refusal", &expected, &Err(refusal)),
    }
    test_store.assert_state(test_store.world());
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
