//! Typed removals: the request, the change that it makes, and the outcome.

use crate::{ChatId, Entity, UserId};

/// A request to remove a user from a chat of an entity, with typed ids.
///
/// [`Request::parse`](crate::Request::parse) returns one. A caller that has typed ids builds it
/// directly:
///
/// ```
/// use crm_chat_domain::{ChatId, Entity, EntityKind, IfAbsent, Removal, UserId};
///
/// # fn main() -> Result<(), crm_chat_domain::InvalidIdError> {
/// let removal = Removal::new(Entity::new(EntityKind::Deal, 288)?, 12.try_into()?)
///     .in_chat(8773.try_into()?)
///     .if_absent(IfAbsent::Accept);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Removal {
    /// The entity through which the chat is reached.
    pub entity: Entity,
    /// The user or bot that is to leave the chat.
    pub user: UserId,
    /// The chat, or `None` for the entity's last chat.
    pub chat: Option<ChatId>,
    /// The effect of a user who is not a member of the chat.
    pub if_absent: IfAbsent,
}

impl Removal {
    /// Returns a request to remove `user` from the last chat of `entity`, with every option at its
    /// default.
    #[must_use]
    pub const fn new(entity: Entity, user: UserId) -> Self {
        Self { entity, user, chat: None, if_absent: IfAbsent::Refuse }
    }

    /// Sets the chat, which replaces the entity's last chat.
    #[must_use]
    pub const fn in_chat(self, chat: ChatId) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// Sets the effect of a user who is not a member of the chat.
    #[must_use]
    pub const fn if_absent(self, if_absent: IfAbsent) -> Self {
        Self { if_absent, ..self }
    }
}

/// The effect of a user who is not a member of the chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum IfAbsent {
    /// Rule 12 refuses the removal.
    #[default]
    Refuse,
    /// The outcome is [`Outcome::AlreadyAbsent`], a success, so that a repeated call converges.
    Accept,
}

/// The change that one removal makes, all of it or nothing.
///
/// The core computes it and passes it to
/// [`ChatRepo::remove_member`](crate::ChatRepo::remove_member).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The chat that the user leaves.
    pub chat: ChatId,
    /// The user who leaves.
    pub user: UserId,
    /// The user on whose behalf the removal runs.
    pub actor: UserId,
    /// The entity through which the chat was reached.
    pub entity: Entity,
    /// The effect on the ownership of the chat.
    pub owner: OwnerChange,
}

impl Change {
    /// Returns the member to whom the ownership passes, if it does. The log's record names this
    /// user.
    #[must_use]
    pub const fn new_owner(&self) -> Option<UserId> {
        match self.owner {
            OwnerChange::PassesTo(owner) => Some(owner),
            OwnerChange::Unchanged | OwnerChange::Vacant => None,
        }
    }
}

/// The effect of a removal on the ownership of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerChange {
    /// The user did not own the chat. Its owner, if any, stays.
    Unchanged,
    /// The user owned the chat. This member owns it from now on.
    PassesTo(UserId),
    /// The user owned the chat and no other member may own it. It has no owner from now on.
    Vacant,
}

/// The outcome of a removal that was not refused. Each outcome is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The user was removed. The change has the fields of the log's record except the time, which
    /// the backend adds.
    Removed(Change),
    /// The entity has no chat (rule 8). Nothing was changed.
    NoChat,
    /// The user is not a member of the chat, and the request said [`IfAbsent::Accept`]. Nothing was
    /// changed.
    AlreadyAbsent {
        /// The chat named by the request, else the entity's last.
        chat: ChatId,
    },
}

impl Outcome {
    /// Returns the chat concerned, or `None` for *no chat*.
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
