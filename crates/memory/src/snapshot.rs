//! Conversions between the state and a snapshot.

use crm_chat_domain::Snapshot;
use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight};

use crate::world::{Members, World};

impl From<&Snapshot> for World {
    fn from(snapshot: &Snapshot) -> Self {
        let members = |chat: &Chat| Members { owner: chat.owner, joined: chat.members.clone() };
        let mut world = Self {
            messenger_installed: snapshot.messenger_installed,
            users: snapshot.users.iter().map(|user| (user.id, *user)).collect(),
            chats: snapshot.chats.iter().map(|chat| (chat.id, members(chat))).collect(),
            access: snapshot.access.iter().map(|grant| (grant.user, grant.entity)).collect(),
            removers: snapshot.removers.iter().map(|right| (right.user, right.chat)).collect(),
            log: snapshot.removals.clone(),
            ..Self::default()
        };
        // Linked one by one, because their order is the order of linking.
        for link in &snapshot.links {
            world.link(link.entity, link.chat);
        }
        world
    }
}

impl From<&World> for Snapshot {
    fn from(world: &World) -> Self {
        let mut links: Vec<_> = world.links.iter().collect();
        links.sort_by_key(|(_, made)| **made);
        Self {
            messenger_installed: world.messenger_installed,
            users: world.users.values().copied().collect(),
            chats: world
                .chats
                .iter()
                .map(|(&id, members)| Chat {
                    id,
                    owner: members.owner,
                    members: members.joined.clone(),
                })
                .collect(),
            links: links.into_iter().map(|(&(entity, chat), _)| Link { entity, chat }).collect(),
            access: world
                .access
                .iter()
                .map(|&(user, entity)| AccessGrant { user, entity })
                .collect(),
            removers: world
                .removers
                .iter()
                .map(|&(user, chat)| RemovalRight { user, chat })
                .collect(),
            removals: world.log.clone(),
        }
    }
}
