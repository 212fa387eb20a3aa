//! The edits that maintain the data of a store.

use super::{AccessGrant, Link, RemovalRight, User};
use crate::{ChatId, StoreError, UserId};

/// An edit of a store's data, made in a transaction of its own and serialised with removals.
///
/// Use edits to maintain data that is kept in one of our backends. The suite uses them to test
/// races.
///
/// An edit describes the intended state, so that making it twice does no harm. An edit that refers
/// to something unknown is [rejected](EditRejection).
///
/// With the feature `serde` it is an object with one key: `{"join": {"chat": 8773, "user": 12}}`.
///
/// ```
/// use crm_chat_domain::Edit;
///
/// # futures_lite::future::block_on(async {
/// let store = crm_chat_memory::Memory::new();
/// let (chat, user) = (8773.try_into()?, 12.try_into()?);
/// store.edit(&Edit::AddChat { chat }).await?;
/// store.edit(&Edit::Join { chat, user }).await?;
/// store.edit(&Edit::Join { chat, user }).await?; // already a member: nothing changes
/// assert_eq!(store.dump().await.chats[0].members, [user]);
///
/// let rejected = store.edit(&Edit::SetOwner { chat, user: 7.try_into()? }).await;
/// assert_eq!(rejected.unwrap_err().to_string(), "user 7 is not a member of chat 8773");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub enum Edit {
    /// Adds a user, or overwrites the data of a known user.
    AddUser(User),
    /// Makes a known user active.
    ActivateUser {
        /// The user.
        user: UserId,
    },
    /// Makes a known user inactive.
    DeactivateUser {
        /// The user.
        user: UserId,
    },
    /// Adds an empty chat without an owner. A known chat stays as it is.
    AddChat {
        /// The chat.
        chat: ChatId,
    },
    /// Deletes a chat with its members and links, and every right to remove users from it. Its log
    /// records stay.
    DeleteChat {
        /// The chat.
        chat: ChatId,
    },
    /// Adds a user to a known chat, as the last to have joined. A member keeps its place.
    Join {
        /// The chat.
        chat: ChatId,
        /// The user who joins, not necessarily a known one.
        user: UserId,
    },
    /// Ends a membership without a removal: no right is checked, nothing is logged, and a chat
    /// whose owner leaves has no owner.
    Leave {
        /// The chat.
        chat: ChatId,
        /// The user who leaves.
        user: UserId,
    },
    /// Makes a member the owner of the chat.
    SetOwner {
        /// The chat.
        chat: ChatId,
        /// The member who owns the chat from now on.
        user: UserId,
    },
    /// Leaves a known chat without an owner. The former owner stays a member.
    ClearOwner {
        /// The chat.
        chat: ChatId,
    },
    /// Links a known chat to an entity. A link that exists becomes the newest.
    Link(Link),
    /// Deletes a link.
    Unlink(Link),
    /// Grants a user access to an entity (rule 7).
    GrantAccess(AccessGrant),
    /// Revokes a user's access to an entity.
    RevokeAccess(AccessGrant),
    /// Grants a user the right to remove users from a known chat (rule 10).
    GrantRemoval(RemovalRight),
    /// Revokes a user's right to remove users from a chat.
    RevokeRemoval(RemovalRight),
    /// Installs or uninstalls the messenger (rule 6).
    SetMessenger {
        /// True to install it.
        installed: bool,
    },
}

/// The rejection of an edit that refers to something unknown. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EditRejection {
    /// The user to activate or deactivate is unknown.
    #[error("user {0} is not known")]
    UnknownUser(UserId),
    /// The chat to join, to own, to link or to grant a right in is unknown.
    #[error("chat {0} is not known")]
    UnknownChat(ChatId),
    /// The intended owner is not a member of the chat.
    #[error("user {user} is not a member of chat {chat}")]
    NotAMember {
        /// The chat.
        chat: ChatId,
        /// The intended owner.
        user: UserId,
    },
}

/// The error returned when an edit was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EditError {
    /// The edit refers to something unknown. Nothing was changed.
    #[error(transparent)]
    Rejected(#[from] EditRejection),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
