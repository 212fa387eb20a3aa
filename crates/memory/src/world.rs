//! What the store holds.

use std::collections::{BTreeMap, BTreeSet};

use crm_chat_domain::snapshot::User;
use crm_chat_domain::{ChatId, Entity, RemovalRecord, UserId};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) messenger_installed: bool,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) chats: BTreeMap<ChatId, Members>,
    /// Each link with its place in the order of linking.
    pub(crate) links: BTreeMap<(Entity, ChatId), u64>,
    pub(crate) links_made: u64,
    pub(crate) access: BTreeSet<(UserId, Entity)>,
    pub(crate) removers: BTreeSet<(UserId, ChatId)>,
    /// The record numbered n stands at n - 1.
    pub(crate) log: Vec<RemovalRecord>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            messenger_installed: true,
            users: BTreeMap::new(),
            chats: BTreeMap::new(),
            links: BTreeMap::new(),
            links_made: 0,
            access: BTreeSet::new(),
            removers: BTreeSet::new(),
            log: Vec::new(),
        }
    }
}

/// The members of a chat, in the order in which they joined, and which of them owns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    pub(crate) owner: Option<UserId>,
    pub(crate) joined: Vec<UserId>,
}

impl World {
    /// Links a chat to an entity; a link that stands becomes the newest.
    pub(crate) fn link(&mut self, entity: Entity, chat: ChatId) {
        self.links_made += 1;
        self.links.insert((entity, chat), self.links_made);
    }
}
