//! Applies edits to a world.

use crm_chat_domain::snapshot::{Chat, EditRejection};
use crm_chat_domain::{ChatId, Edit, Snapshot, UserId};

/// Returns the rejection of an edit that names something unknown.
pub(super) fn rejection(world: &Snapshot, edit: &Edit) -> Option<EditRejection> {
    let is_known = |user: UserId| world.users.iter().any(|known| known.id == user);
    let chat = |id: ChatId| world.chats.iter().find(|known| known.id == id);
    match *edit {
        Edit::ActivateUser { user } | Edit::DeactivateUser { user } if !is_known(user) => {
            Some(EditRejection::UnknownUser(user))
        }
        Edit::Join { chat: id, .. }
        | Edit::SetOwner { chat: id, .. }
        | Edit::ClearOwner { chat: id }
            if chat(id).is_none() =>
        {
            Some(EditRejection::UnknownChat(id))
        }
        Edit::Link(link) if chat(link.chat).is_none() => {
            Some(EditRejection::UnknownChat(link.chat))
        }
        Edit::GrantRemoval(remover) if chat(remover.chat).is_none() => {
            Some(EditRejection::UnknownChat(remover.chat))
        }
        Edit::SetOwner { chat: id, user }
            if !chat(id).is_some_and(|chat| chat.members.contains(&user)) =>
        {
            Some(EditRejection::NotAMember { chat: id, user })
        }
        _ => None,
    }
}

/// Applies an edit that is not rejected.
pub(super) fn apply(world: &mut Snapshot, edit: &Edit) {
    match *edit {
        // Remove and push instead of updating in place: a link made again must become the newest,
        // and for the other lists the order does not matter.
        Edit::AddUser(user) => {
            world.users.retain(|known| known.id != user.id);
            world.users.push(user);
        }
        Edit::ActivateUser { user } => set_active(world, user, true),
        Edit::DeactivateUser { user } => set_active(world, user, false),
        Edit::AddChat { chat } => add_chat(world, chat),
        Edit::DeleteChat { chat } => {
            // Records in the log outlive their chat.
            world.chats.retain(|known| known.id != chat);
            world.links.retain(|link| link.chat != chat);
            world.removers.retain(|remover| remover.chat != chat);
        }
        Edit::Join { chat, user } => in_chat(world, chat, |chat| {
            if !chat.members.contains(&user) {
                chat.members.push(user);
            }
        }),
        Edit::Leave { chat, user } => in_chat(world, chat, |chat| {
            chat.members.retain(|member| *member != user);
            if chat.owner == Some(user) {
                chat.owner = None;
            }
        }),
        Edit::SetOwner { chat, user } => in_chat(world, chat, |chat| chat.owner = Some(user)),
        Edit::ClearOwner { chat } => in_chat(world, chat, |chat| chat.owner = None),
        Edit::Link(link) => {
            world.links.retain(|other| *other != link);
            world.links.push(link);
        }
        Edit::Unlink(link) => world.links.retain(|other| *other != link),
        Edit::GrantAccess(access) => {
            world.access.retain(|granted| *granted != access);
            world.access.push(access);
        }
        Edit::RevokeAccess(access) => world.access.retain(|granted| *granted != access),
        Edit::GrantRemoval(remover) => {
            world.removers.retain(|granted| *granted != remover);
            world.removers.push(remover);
        }
        Edit::RevokeRemoval(remover) => world.removers.retain(|granted| *granted != remover),
        Edit::SetMessenger { installed } => world.messenger_installed = installed,
    }
}

fn set_active(world: &mut Snapshot, user: UserId, active: bool) {
    let users = world.users.iter_mut();
    users.filter(|known| known.id == user).for_each(|known| known.active = active);
}

fn add_chat(world: &mut Snapshot, id: ChatId) {
    if !world.chats.iter().any(|known| known.id == id) {
        world.chats.push(Chat { id, owner: None, members: Vec::new() });
    }
}

fn in_chat(world: &mut Snapshot, id: ChatId, change: impl FnMut(&mut Chat)) {
    let chats = world.chats.iter_mut();
    chats.filter(|known| known.id == id).for_each(change);
}
