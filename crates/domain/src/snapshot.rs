//! The state of a store as plain data, and the edits that maintain it.
//!
//! These types matter to backends that keep the data themselves, such as `crm-chat-sqlite`, and to
//! their tests. An embedder whose data is in tables of its own needs none of them.
//!
//! A [`Snapshot`] is the whole state: the fixture of a test, or the document of an import or
//! export. An [`Edit`] is a small change to a state, such as a user who joins a chat.

use crate::{Change, ChatId, Entity, StoreError, Timestamp, UserId};

mod edit;
mod validate;

pub use edit::{Edit, EditError, EditRejection};
pub use validate::SnapshotError;

/// The whole state of a store as plain data.
///
/// It is the fixture of tests, and the format of import and export. With the feature `serde` it is
/// one document, in which every top-level field may be missing and an unknown field is an error.
///
/// ```json
/// {
///   "messenger_installed": true,
///   "users":    [{"id": 12, "active": true, "kind": "human"}],
///   "chats":    [{"id": 8773, "owner": 7, "members": [7, 12]}],
///   "links":    [{"entity": {"type": "deal", "id": 288}, "chat": 8773}],
///   "access":   [{"user": 1, "entity": {"type": "deal", "id": 288}}],
///   "removers": [{"user": 1, "chat": 8773}],
///   "removals": []
/// }
/// ```
///
/// A backend that loads a snapshot first [validates](Self::validate) it, and then replaces its
/// whole state by the snapshot in one transaction. A dump right after a load equals the loaded
/// snapshot, [sorted](Self::sort).
///
/// ```
/// use crm_chat_domain::Snapshot;
/// use crm_chat_domain::snapshot::{Chat, User, UserKind};
///
/// let user = 12.try_into()?;
/// let snapshot = Snapshot {
///     users: vec![User { id: user, active: true, kind: UserKind::Human }],
///     chats: vec![Chat { id: 8773.try_into()?, owner: Some(user), members: vec![] }],
///     ..Snapshot::default()
/// };
/// let error = snapshot.validate().unwrap_err();
/// assert_eq!(error.to_string(), "`chats[0].owner`: user 12 is not a member of chat 8773");
/// # Ok::<(), crm_chat_domain::InvalidIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
pub struct Snapshot {
    /// True if the messenger is installed, which is the default.
    pub messenger_installed: bool,
    /// The users, each once.
    pub users: Vec<User>,
    /// The chats, each once.
    pub chats: Vec<Chat>,
    /// The links between entities and chats, each once, in the order in which they were made,
    /// oldest first.
    pub links: Vec<Link>,
    /// The rights of access to entities (rule 7), each once.
    pub access: Vec<AccessGrant>,
    /// The rights to remove users from chats (rule 10), each once.
    pub removers: Vec<RemovalRight>,
    /// The removal log, oldest first. A backend numbers its records from 1 when it loads them.
    pub removals: Vec<RemovalRecord>,
}

/// Returns an empty state in which the messenger is installed.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            // Rule 6 refuses every removal without it, so `false` would be a useless default.
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
    /// Sorts the lists whose order has no meaning, as a dump does.
    ///
    /// `users` and `chats` are sorted by id, `access` by user, kind (lead, deal, company, contact)
    /// and id, `removers` by user and chat. The order of links, members and log records is data and
    /// stays as it is.
    pub fn sort(&mut self) {
        // Stable: in a snapshot that is not valid, ids may repeat, and `validate` names the first
        // repetition.
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
    /// The id of the user or bot.
    pub id: UserId,
    /// True if the user is active (rule 11).
    pub active: bool,
    /// The kind of user; human by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub kind: UserKind,
}

/// The kind of a user. Only a human can become the owner of a chat by succession.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum UserKind {
    /// An internal user.
    #[default]
    Human,
    /// A bot.
    Bot,
    /// An external user.
    External,
}

/// A chat with its members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Chat {
    /// The id of the chat.
    pub id: ChatId,
    /// The member who owns the chat, if any.
    #[cfg_attr(feature = "serde", serde(default))]
    pub owner: Option<UserId>,
    /// The members, each once, in the order in which they joined. They need not be listed in
    /// `users`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub members: Vec<UserId>,
}

/// A link, by which a chat belongs to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Link {
    /// The entity.
    pub entity: Entity,
    /// The chat.
    pub chat: ChatId,
}

/// A right of access: the user may access the entity (rule 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct AccessGrant {
    /// The user who has access.
    pub user: UserId,
    /// The entity that the user may access.
    pub entity: Entity,
}

/// A right of removal: the user may remove users from the chat (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RemovalRight {
    /// The user who may remove others.
    pub user: UserId,
    /// The chat from which the user may remove others.
    pub chat: ChatId,
}

/// A record of the removal log. Each [`Change`] is recorded exactly once; nothing else is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RemovalRecord {
    /// The chat that the user left. It may have been deleted since.
    pub chat: ChatId,
    /// The user who left.
    pub user: UserId,
    /// The user on whose behalf the removal ran.
    pub actor: UserId,
    /// The entity through which the chat was reached.
    pub entity: Entity,
    /// The member to whom the ownership passed, if it did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub new_owner: Option<UserId>,
    /// The time of the change by the backend's clock. `None` for an imported record without a time.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub recorded_at: Option<Timestamp>,
}

impl RemovalRecord {
    /// Returns the record of a change, stamped with a time.
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

/// A record of the removal log with its sequence number.
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let store = crm_chat_memory::Memory::new();
/// let mut last_seen = 0;
/// loop {
///     let entries = store.log(last_seen, 100).await;
///     let Some(last) = entries.last() else { break };
///     last_seen = last.sequence;
///     for entry in entries {
///         println!("{}: user {} left", entry.sequence, entry.record.user);
///     }
/// }
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LogEntry {
    /// The sequence number, from 1, with possible gaps.
    ///
    /// Once a reader has seen a number, no new record appears at or below it until a snapshot is
    /// loaded. A reader can therefore follow the log by the last number that it has seen.
    pub sequence: u64,
    /// The record.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub record: RemovalRecord,
}

/// The error returned when a snapshot was not loaded. The store keeps its previous state.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The snapshot is not valid.
    #[error(transparent)]
    Invalid(#[from] SnapshotError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
