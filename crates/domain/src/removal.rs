//! The typed request, the change it makes, and the outcome.

use crate::{ChatId, Entity, UserId};

/// A typed request to remove a user from a chat of an entity: what [`Request::parse`](crate::Request::parse) returns.
///
/// ```
/// use crm_chat_domain::{ChatId, Entity, EntityKind, IfAbsent, Removal, UserId};
///
/// # fn main() -> Result<(), crm_chat_domain::InvalidId> {
/// let removal = Removal::new(Entity::new(EntityKind::Deal, 288)?, 12.try_into()?)
///     .in_chat(8773.try_into()?)
///     .if_absent(IfAbsent::Accept);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Removal {
    /// The entity whose chat it is.
    pub entity: Entity,
    /// The user or bot that is to leave the chat.
    pub user: UserId,
    /// The chat, or `None` for the entity's last chat.
    pub chat: Option<ChatId>,
    /// What a user who is not a member of the chat means.
    pub if_absent: IfAbsent,
}

impl Removal {
    /// Asks to remove `user` from the last chat of `entity`, with every option at its default.
    #[must_use]
    pub const fn new(entity: Entity, user: UserId) -> Self {
        Self { entity, user, chat: None, if_absent: IfAbsent::Refuse }
    }

    /// Names the chat.
    #[must_use]
    pub const fn in_chat(self, chat: ChatId) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// Says what a user who is not a member of the chat means.
    #[must_use]
    pub const fn if_absent(self, if_absent: IfAbsent) -> Self {
        Self { if_absent, ..self }
    }
}

/// What a user who is not a member of the chat means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum IfAbsent {
    /// Rule 12 refuses.
    #[default]
    Refuse,
    /// The outcome is [`Outcome::AlreadyAbsent`], so that a repeated call converges.
    Accept,
}

/// What one removal changes, all of it or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The chat that the user leaves.
    pub chat: ChatId,
    /// The user who leaves.
    pub user: UserId,
    /// On whose behalf.
    pub actor: UserId,
    /// The entity through which the chat was reached.
    pub entity: Entity,
    /// What becomes of the chat's owner.
    pub owner: OwnerChange,
}

impl Change {
    /// Returns the owner that the record names: the one to whom the ownership passes, if it passes.
    #[must_use]
    pub const fn new_owner(&self) -> Option<UserId> {
        match self.owner {
            OwnerChange::PassesTo(owner) => Some(owner),
            OwnerChange::Unchanged | OwnerChange::Vacant => None,
        }
    }
}

/// What a removal does to the owner of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerChange {
    /// The user did not own the chat; its owner, if any, stays.
    Unchanged,
    /// The user owned the chat; this member owns it from now on.
    PassesTo(UserId),
    /// The user owned the chat and no member may follow; it has no owner from now on.
    Vacant,
}

/// How a removal that was not refused ended. Each is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The user was removed. The change holds what the log's record says, but for the time, which the backend stamps.
    Removed(Change),
    /// The entity has no chat (rule 8). Nothing was changed.
    NoChat,
    /// The user is not a member of the chat, and [`IfAbsent::Accept`] was asked. Nothing was changed.
    AlreadyAbsent {
        /// The chat named by the request, else the entity's last.
        chat: ChatId,
    },
}

impl Outcome {
    /// Returns the chat concerned; `None` for *no chat*.
    #[must_use]
    pub const fn chat(&self) -> Option<ChatId> {
        match self {
            Self::Removed(change) => Some(change.chat),
            Self::AlreadyAbsent { chat } => Some(*chat),
            Self::NoChat => None,
        }
    }

    /// Returns the answer on the wire: the chat's id, or 0 for *no chat*.
    #[must_use]
    pub const fn result(&self) -> i64 {
        match self.chat() {
            Some(chat) => chat.get(),
            None => 0,
        }
    }
}
