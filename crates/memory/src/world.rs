//! The state of the store, with an index for each question.

use std::collections::{BTreeMap, BTreeSet};

use crm_chat_domain::snapshot::User;
use crm_chat_domain::{ChatId, Entity, RemovalRecord, UserId};

/// The whole state of a store.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) messenger_installed: bool,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) chats: BTreeMap<ChatId, Members>,
    /// The links, each with its place in the order of linking.
    pub(crate) links: BTreeMap<(Entity, ChatId), u64>,
    /// The number of links made so far, which is the place of the newest one.
    pub(crate) links_made: u64,
    pub(crate) access: BTreeSet<(UserId, Entity)>,
    pub(crate) removers: BTreeSet<(UserId, ChatId)>,
    /// The records; the one numbered n is at index n - 1.
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

/// The members of a chat in the order in which they joined, and the owner among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    pub(crate) owner: Option<UserId>,
    pub(crate) joined: Vec<UserId>,
}

impl World {
    /// Links a chat to an entity. A link that exists becomes the newest.
    pub(crate) fn link(&mut self, entity: Entity, chat: ChatId) {
        self.links_made += 1;
        self.links.insert((entity, chat), self.links_made);
    }
}
