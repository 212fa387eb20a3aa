//! Edits of the state.

use crm_chat_domain::snapshot::EditRejection;
use crm_chat_domain::{ChatId, Edit, UserId};

use crate::world::{Members, World};

/// Makes an edit, or rejects it and changes nothing.
pub(crate) fn apply(world: &mut World, edit: &Edit) -> Result<(), EditRejection> {
    match *edit {
        Edit::AddUser(user) => {
            world.users.insert(user.id, user);
        }
        Edit::ActivateUser { user } => set_active(world, user, true)?,
        Edit::DeactivateUser { user } => set_active(world, user, false)?,
        Edit::AddChat { chat } => {
            world.chats.entry(chat).or_default();
        }
        Edit::DeleteChat { chat } => {
            world.chats.remove(&chat);
            world.links.retain(|&(_, linked), _| linked != chat);
            world.removers.retain(|&(_, from)| from != chat);
        }
        Edit::Join { chat, user } => {
            let members = known(world, chat)?;
            if !members.joined.contains(&user) {
                members.joined.push(user);
            }
        }
        Edit::Leave { chat, user } => {
            if let Some(members) = world.chats.get_mut(&chat) {
                members.joined.retain(|member| *member != user);
                members.owner = members.owner.filter(|owner| *owner != user);
            }
        }
        Edit::SetOwner { chat, user } => {
            let members = known(world, chat)?;
            if !members.joined.contains(&user) {
                return Err(EditRejection::NotAMember { chat, user });
            }
            members.owner = Some(user);
        }
        Edit::ClearOwner { chat } => known(world, chat)?.owner = None,
        Edit::Link(link) => {
            known(world, link.chat)?;
            world.link(link.entity, link.chat);
        }
        Edit::Unlink(link) => {
            world.links.remove(&(link.entity, link.chat));
        }
        Edit::GrantAccess(grant) => {
            world.access.insert((grant.user, grant.entity));
        }
        Edit::RevokeAccess(grant) => {
            world.access.remove(&(grant.user, grant.entity));
        }
        Edit::GrantRemoval(right) => {
            known(world, right.chat)?;
            world.removers.insert((right.user, right.chat));
        }
        Edit::RevokeRemoval(right) => {
            world.removers.remove(&(right.user, right.chat));
        }
        Edit::SetMessenger { installed } => world.messenger_installed = installed,
    }
    Ok(())
}

/// Activates or deactivates a known user.
fn set_active(world: &mut World, user: UserId, active: bool) -> Result<(), EditRejection> {
    let known_user = world.users.get_mut(&user);
    known_user.ok_or(EditRejection::UnknownUser(user))?.active = active;
    Ok(())
}

/// Returns the members of a known chat.
fn known(world: &mut World, chat: ChatId) -> Result<&mut Members, EditRejection> {
    let members = world.chats.get_mut(&chat);
    members.ok_or(EditRejection::UnknownChat(chat))
}
