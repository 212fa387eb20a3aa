//! The single changes by which a store is maintained.

use crate::{Access, ChatId, Link, Remover, StoreError, User, UserId};

/// A single change to a store's data, made in a transaction of its own and serialised with removals.
///
/// Who keeps their data in a backend of ours maintains it so, and races are tested with these. (An embedder with own
/// tables needs none.) A change says what shall be the case: made twice, it does no harm.
///
/// With the feature `serde` it is an object with one key: `{"join": {"chat": 8773, "user": 12}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub enum Edit {
    /// Adds a user; a known user takes on what is said.
    AddUser(User),
    /// Makes a known user active.
    ActivateUser {
        /// Who.
        user: UserId,
    },
    /// Makes a known user inactive.
    DeactivateUser {
        /// Who.
        user: UserId,
    },
    /// Adds an empty chat without an owner; a known chat stays as it is.
    AddChat {
        /// Which chat.
        chat: ChatId,
    },
    /// Deletes a chat with its members and links, and every right to remove users from it. The log stays.
    DeleteChat {
        /// Which chat.
        chat: ChatId,
    },
    /// Lets a user join a known chat, at the end of the order; a member stays where it is.
    Join {
        /// Which chat.
        chat: ChatId,
        /// Who joins. It need not be a known user.
        user: UserId,
    },
    /// Lets a user leave a chat. If the owner leaves so, the chat has no owner. Nothing is logged: this is no removal.
    Leave {
        /// Which chat.
        chat: ChatId,
        /// Who leaves.
        user: UserId,
    },
    /// Makes a member the owner of the chat.
    SetOwner {
        /// Which chat.
        chat: ChatId,
        /// Who owns it from now on.
        user: UserId,
    },
    /// Leaves a known chat without an owner.
    ClearOwner {
        /// Which chat.
        chat: ChatId,
    },
    /// Links a known chat to an entity; made again, the link becomes the newest.
    Link(Link),
    /// Deletes a link.
    Unlink(Link),
    /// Grants a user access to an entity (rule 7).
    GrantAccess(Access),
    /// Revokes it.
    RevokeAccess(Access),
    /// Grants a user the right to remove users from a known chat (rule 10).
    GrantRemoval(Remover),
    /// Revokes it.
    RevokeRemoval(Remover),
    /// Says whether the messenger is installed (rule 6).
    SetMessenger {
        /// Whether it is.
        installed: bool,
    },
}

/// A single change names what is not there. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EditRejection {
    /// The user to activate or deactivate is not known.
    #[error("user {0} is not known")]
    UnknownUser(UserId),
    /// The chat to join, to own, to link or to grant a right in is not known.
    #[error("chat {0} is not known")]
    UnknownChat(ChatId),
    /// The owner to be is not a member of the chat.
    #[error("user {user} is not a member of chat {chat}")]
    NotAMember {
        /// Which chat.
        chat: ChatId,
        /// Who was to own it.
        user: UserId,
    },
}

/// Why a single change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EditError {
    /// It names what is not there. Nothing was changed.
    #[error(transparent)]
    Rejected(#[from] EditRejection),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
