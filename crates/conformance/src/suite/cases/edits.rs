//! Edits, which the races use to change facts.

use crm_chat_domain::snapshot::{
    AccessGrant, Chat, EditRejection, Link, RemovalRight, User, UserKind,
};
use crm_chat_domain::{Edit, Request, Snapshot};

use crate::fixtures::{chat, chat_of, entity, office, removal, user, user_of};
use crate::model::Model;
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;

/// E6: each edit has its documented effect, made once or twice, or is rejected.
pub fn e6_edits_have_their_documented_effect<H: Harness>(cx: &TestContext<H>) {
    for (edit, expected) in users().into_iter().chain(chats()).chain(members()).chain(rights()) {
        let test_store = cx.open(&office());
        // Twice, as edits are idempotent.
        for _ in 0..2 {
            test_store.edit(&edit);
            test_store.assert_state(&expected);
        }
    }
    let test_store = cx.open(&office());
    for (edit, rejection) in rejected() {
        test_store.assert_eq("the rejection", &Err(rejection), &test_store.try_edit(&edit));
    }
    test_store.assert_state(&office());
}

/// E6: a chat added with the id of a deleted one has none of its members, links and rights,
/// whatever is added to it afterwards.
pub fn e6_deleted_chat_leaves_nothing<H: Harness>(cx: &TestContext<H>) {
    let (id, deal) = (chat(8773), entity("deal:288"));
    let edits = [
        Edit::DeleteChat { chat: id },
        Edit::AddChat { chat: id },
        Edit::Link(Link { entity: deal, chat: id }),
        Edit::Join { chat: id, user: user(12) },
        Edit::GrantRemoval(RemovalRight { user: user(7), chat: id }),
    ];
    let test_store = cx.open(&office());
    let mut model = Model::new(office());
    for edit in edits {
        test_store.edit(&edit);
        test_store.assert_eq("the edit", &Ok(()), &model.edit(&edit));
        for (actor, leaving) in [(1, 7), (1, 12), (7, 7), (7, 12), (7, 13)] {
            let request = Request::from(&removal(leaving).in_chat(id));
            test_store.assert_explanation(&model, user(actor), &request);
        }
        test_store.assert_state(&model.dump());
    }
}

/// An edit and the office after it.
type AppliedEdit = (Edit, Snapshot);

fn office_with(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut world = office();
    change(&mut world);
    world.sort();
    world
}

fn users() -> Vec<AppliedEdit> {
    let bot = |id| User { id: user(id), active: false, kind: UserKind::Bot };
    let on = Edit::ActivateUser { user: user(14) };
    let off = Edit::DeactivateUser { user: user(20) };
    vec![
        (Edit::AddUser(bot(99)), office_with(|world| world.users.push(bot(99)))),
        (Edit::AddUser(bot(12)), office_with(|world| *user_of(world, user(12)) = bot(12))),
        (on, office_with(|world| user_of(world, user(14)).active = true)),
        (off, office_with(|world| user_of(world, user(20)).active = false)),
    ]
}

fn chats() -> Vec<AppliedEdit> {
    let (busy, new, missing) = (chat(8773), chat(5), chat(404));
    let empty = Chat { id: new, owner: None, members: Vec::new() };
    let without_busy = office_with(|world| {
        world.chats.retain(|chat| chat.id != busy);
        world.links.retain(|link| link.chat != busy);
        world.removers.retain(|remover| remover.chat != busy);
    });
    vec![
        (Edit::AddChat { chat: busy }, office()),
        (Edit::AddChat { chat: new }, office_with(|world| world.chats.push(empty))),
        (Edit::DeleteChat { chat: busy }, without_busy),
        (Edit::DeleteChat { chat: missing }, office()),
    ]
}

fn members() -> Vec<AppliedEdit> {
    let chat = chat(8773);
    let join = |id| Edit::Join { chat, user: user(id) };
    let leave = |id| Edit::Leave { chat, user: user(id) };
    let owned_by = |id| Edit::SetOwner { chat, user: user(id) };
    let office_where =
        |change: &dyn Fn(&mut Chat)| office_with(|world| change(chat_of(world, chat)));
    let owner_left = office_where(&|chat| {
        chat.members.retain(|member| *member != user(7));
        chat.owner = None;
    });
    let nowhere = Edit::Leave { chat: crate::fixtures::chat(404), user: user(3) };
    vec![
        (join(98), office_where(&|chat| chat.members.push(user(98)))),
        (join(7), office()),
        (leave(7), owner_left),
        (leave(13), office_where(&|chat| chat.members.retain(|member| *member != user(13)))),
        (leave(3), office()),
        (nowhere, office()),
        (owned_by(14), office_where(&|chat| chat.owner = Some(user(14)))),
        (Edit::ClearOwner { chat }, office_where(&|chat| chat.owner = None)),
    ]
}

fn rights() -> Vec<AppliedEdit> {
    let deal = entity("deal:288");
    let link = |id| Link { entity: deal, chat: chat(id) };
    let access = |id| AccessGrant { user: user(id), entity: deal };
    let right = |id| RemovalRight { user: user(id), chat: chat(8773) };
    let relinked = office_with(|world| {
        world.links.retain(|made| *made != link(8800));
        world.links.push(link(8800));
    });
    let unlinked = office_with(|world| world.links.retain(|made| *made != link(8773)));
    let no_access = office_with(|world| world.access.retain(|had| *had != access(1)));
    let no_right = office_with(|world| world.removers.retain(|had| *had != right(1)));
    let uninstalled = office_with(|world| world.messenger_installed = false);
    vec![
        (Edit::Link(link(8800)), relinked),
        (Edit::Unlink(link(8773)), unlinked),
        (Edit::Unlink(link(404)), office()),
        (Edit::GrantAccess(access(4)), office_with(|world| world.access.push(access(4)))),
        (Edit::RevokeAccess(access(1)), no_access),
        (Edit::RevokeAccess(access(4)), office()),
        (Edit::GrantRemoval(right(4)), office_with(|world| world.removers.push(right(4)))),
        (Edit::RevokeRemoval(right(1)), no_right),
        (Edit::RevokeRemoval(right(4)), office()),
        (Edit::SetMessenger { installed: false }, uninstalled),
    ]
}

fn rejected() -> Vec<(Edit, EditRejection)> {
    let (unknown, unknown_user) = (chat(404), user(404));
    let no_chat = EditRejection::UnknownChat(unknown);
    let joins = Edit::Join { chat: unknown, user: user(12) };
    let owns = |chat| Edit::SetOwner { chat, user: user(3) };
    let linked = Edit::Link(Link { entity: entity("deal:288"), chat: unknown });
    let granted = Edit::GrantRemoval(RemovalRight { user: user(1), chat: unknown });
    let stranger = EditRejection::NotAMember { chat: chat(8773), user: user(3) };
    vec![
        (Edit::ActivateUser { user: unknown_user }, EditRejection::UnknownUser(unknown_user)),
        (Edit::DeactivateUser { user: unknown_user }, EditRejection::UnknownUser(unknown_user)),
        (joins, no_chat),
        (owns(unknown), no_chat),
        (owns(chat(8773)), stranger),
        (Edit::ClearOwner { chat: unknown }, no_chat),
        (linked, no_chat),
        (granted, no_chat),
    ]
}
