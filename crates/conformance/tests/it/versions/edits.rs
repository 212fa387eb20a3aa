//! Edits, applied by the model except where a flaw changes them.

use crm_chat_conformance::model::edited;
use crm_chat_domain::snapshot::{EditRejection, RemovalRight};
use crm_chat_domain::{Edit, Snapshot};

use super::{Flaw, Key};

pub(crate) fn apply(
    world: &mut Snapshot,
    edit: &Edit,
    flaw: Option<Flaw>,
) -> Result<(), EditRejection> {
    match (flaw, edit) {
        (Some(Flaw::RelinkKeepsPosition), Edit::Link(link)) if world.links.contains(link) => {}
        (Some(Flaw::JoinsTwice), Edit::Join { chat, user }) => {
            let mut chats = world.chats.iter_mut();
            if let Some(chat) = chats.find(|known| known.id == *chat) {
                chat.members.push(*user);
            }
        }
        (Some(Flaw::RightsRevive), Edit::AddChat { chat }) => {
            model(world, edit)?;
            let here = world.removals.iter().filter(|record| record.chat == *chat);
            let rights = here.map(|record| RemovalRight { user: record.actor, chat: *chat });
            let lost: Vec<_> = rights.filter(|right| !world.removers.contains(right)).collect();
            world.removers.extend(lost);
        }
        (Some(Flaw::OwnerRemembered), Edit::Join { chat, user }) => {
            let was_owner = world.removals.iter().any(|record| record.user == *user);
            model(world, edit)?;
            let mut chats = world.chats.iter_mut();
            if let Some(chat) = chats.find(|known| was_owner && known.id == *chat) {
                chat.owner = Some(*user);
            }
        }
        _ => model(world, edit)?,
    }
    Ok(())
}

fn model(world: &mut Snapshot, edit: &Edit) -> Result<(), EditRejection> {
    *world = edited(world.clone(), edit)?;
    Ok(())
}

/// Returns the fact that an edit reads besides those that it writes.
pub(crate) fn reads(edit: &Edit) -> Option<Key> {
    match *edit {
        Edit::SetOwner { chat, user } => Some(Key::Member(chat, user)),
        _ => None,
    }
}

/// Returns the facts that an edit writes.
pub(crate) fn writes(edit: &Edit) -> Vec<Key> {
    match *edit {
        Edit::AddUser(user) => vec![Key::User(user.id)],
        Edit::ActivateUser { user } | Edit::DeactivateUser { user } => vec![Key::User(user)],
        Edit::AddChat { .. } | Edit::DeleteChat { .. } => vec![Key::Everything],
        Edit::Join { chat, user } => vec![Key::Member(chat, user), Key::Members(chat)],
        Edit::Leave { chat, user } => {
            vec![Key::Member(chat, user), Key::Members(chat), Key::Owner(chat)]
        }
        Edit::SetOwner { chat, .. } | Edit::ClearOwner { chat } => vec![Key::Owner(chat)],
        Edit::Link(link) | Edit::Unlink(link) => vec![Key::Links(link.entity)],
        Edit::GrantAccess(access) | Edit::RevokeAccess(access) => {
            vec![Key::Access(access.user, access.entity)]
        }
        Edit::GrantRemoval(remover) | Edit::RevokeRemoval(remover) => {
            vec![Key::Remover(remover.user, remover.chat)]
        }
        Edit::SetMessenger { .. } => vec![Key::Messenger],
    }
}
