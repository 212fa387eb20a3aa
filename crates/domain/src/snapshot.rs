//! The state of a store as plain data.

use crate::{Change, ChatId, Entity, StoreError, Timestamp, UserId};

mod validate;

pub use validate::SnapshotError;

/// The state of a store as plain data: the fixture of tests, and the format of import and export.
///
/// With the feature `serde` it is one document; an unknown field is an error there, and every list may be missing. A
/// backend that loads a snapshot replaces everything by it, in one transaction, after it [validated](Self::validate)
/// it. What it dumps then is the snapshot that it loaded, [sorted](Self::sort).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
pub struct Snapshot {
    /// Whether the messenger is installed; true by default.
    pub messenger_installed: bool,
    /// The users, each once.
    pub users: Vec<User>,
    /// The chats, each once.
    pub chats: Vec<Chat>,
    /// The links between entities and chats, each once, in the order in which they were made, oldest first.
    pub links: Vec<Link>,
    /// Who has access to which entity (rule 7), each once.
    pub access: Vec<Access>,
    /// Who may remove users from which chat (rule 10), each once.
    pub removers: Vec<Remover>,
    /// The removal log, oldest first. A backend numbers it from 1.
    pub removals: Vec<RemovalRecord>,
}

/// A store of which nothing is known but that the messenger is installed.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            messenger_installed: true,
            users: Vec::new(),
            chats: Vec::new(),
            links: Vec::new(),
            access: Vec::new(),
            removers: Vec::new(),
            removals: Vec::new(),
        }
    }
}

impl Snapshot {
    /// Sorts what has no order of its own as a dump does: `users` and `chats` by id, `access` by user, kind (in the
    /// order lead, deal, company, contact) and id, `removers` by user and chat.
    pub fn sort(&mut self) {
        self.users.sort_by_key(|user| user.id);
        self.chats.sort_by_key(|chat| chat.id);
        self.access.sort_unstable();
        self.removers.sort_unstable();
    }
}

/// A user or a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// Whether the user is active (rule 11).
    pub active: bool,
    /// What the user is; human by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub kind: UserKind,
}

/// What a user is. Only humans come to own a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum UserKind {
    /// A person of the house.
    #[default]
    Human,
    /// A program.
    Bot,
    /// A person from outside.
    External,
}

/// A chat with its members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Chat {
    /// Which chat it is.
    pub id: ChatId,
    /// The member who owns the chat, if any.
    #[cfg_attr(feature = "serde", serde(default))]
    pub owner: Option<UserId>,
    /// The members, each once, in the order in which they joined. They need not be known users.
    #[cfg_attr(feature = "serde", serde(default))]
    pub members: Vec<UserId>,
}

/// The fact that a chat belongs to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Link {
    /// The entity.
    pub entity: Entity,
    /// The chat.
    pub chat: ChatId,
}

/// The fact that a user has access to an entity (rule 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Access {
    /// Who has access.
    pub user: UserId,
    /// To what.
    pub entity: Entity,
}

/// The fact that a user may remove users from a chat (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Remover {
    /// Who may remove.
    pub user: UserId,
    /// From which chat.
    pub chat: ChatId,
}

/// One record of the removal log: exactly one for each change, none for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RemovalRecord {
    /// The chat that the user left. It may be gone since.
    pub chat: ChatId,
    /// The user who left.
    pub user: UserId,
    /// On whose behalf.
    pub actor: UserId,
    /// The entity through which the chat was reached.
    pub entity: Entity,
    /// The member to whom the ownership passed, if it did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub new_owner: Option<UserId>,
    /// When, by the backend's clock; `None` in records from elsewhere that bear no time.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub recorded_at: Option<Timestamp>,
}

impl RemovalRecord {
    /// Makes the record of a change, stamped with a time.
    #[must_use]
    pub const fn new(change: &Change, recorded_at: Option<Timestamp>) -> Self {
        Self {
            chat: change.chat,
            user: change.user,
            actor: change.actor,
            entity: change.entity,
            new_owner: change.new_owner(),
            recorded_at,
        }
    }
}

/// A record of the removal log with its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LogEntry {
    /// The sequence number, from 1. There may be gaps; a reader that has seen a number never later finds a record
    /// numbered so or lower, until a snapshot is loaded.
    pub sequence: u64,
    /// The record.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub record: RemovalRecord,
}

/// Why a snapshot was not loaded. The store holds what it held before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The snapshot breaks a rule.
    #[error(transparent)]
    Invalid(#[from] SnapshotError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
