//! The four ports: what the rules ask of the storage, and the one write.

use std::future::Future;

use crate::{Change, ChatId, Entity, StoreError, UserId};

/// What a member is in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Owns the chat. At most one member does.
    Owner,
    /// An ordinary member.
    Member,
}

/// Chats and their members.
///
/// An implementation:
/// - MUST answer [`role`](Self::role) with `None` for a chat that does not exist;
/// - MUST name as successor a member only who is an active human, and of these the one who joined earliest;
/// - MUST make the whole [`Change`] in one write, with exactly one log record, or nothing of it;
/// - MUST answer the write by what it affected, not by what was read before.
pub trait ChatRepo: Send {
    /// Tells whether the messenger is installed (rule 6).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn messenger_installed(&mut self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns what `user` is in `chat` (rule 12); `None` if the user is not a member or there is no such chat.
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn role(
        &mut self,
        chat: ChatId,
        user: UserId,
    ) -> impl Future<Output = Result<Option<Role>, StoreError>> + Send;

    /// Returns who owns `chat` once its owner `leaving` has left: among the other members the one who joined earliest
    /// of those who are active humans (neither bots nor external users); `None` if there is none.
    ///
    /// Asked only if the user to be removed owns the chat.
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> impl Future<Output = Result<Option<UserId>, StoreError>> + Send;

    /// Makes a change: ends the membership, changes the owner as [`Change::owner`] says, and appends the record with
    /// the time to the log. Answers whether a member was removed; if none was, nothing changed.
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot make it; nothing of it must be kept then.
    fn remove_member(
        &mut self,
        change: &Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What the CRM knows of chats.
///
/// An implementation:
/// - MUST order links by when they were made: a link made again is the newest;
/// - MUST answer `false` or `None` for an entity or a chat that does not exist.
pub trait CrmRepo: Send {
    /// Returns the chat of the newest link of `entity` (rule 8).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn last_chat(
        &mut self,
        entity: Entity,
    ) -> impl Future<Output = Result<Option<ChatId>, StoreError>> + Send;

    /// Tells whether `chat` exists and is linked to `entity` (rule 9).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn is_linked(
        &mut self,
        chat: ChatId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Users.
///
/// An implementation MUST answer `false` for a user who does not exist.
pub trait UserRepo: Send {
    /// Tells whether `user` exists and is active (rule 11).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn is_active(&mut self, user: UserId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Rights. The two questions are separate: neither right implies the other.
///
/// An implementation:
/// - MUST answer for the very actor, entity and chat that it is asked about: an answer kept for one actor is no answer
///   for another;
/// - MUST answer `false` for what it does not know.
pub trait Permissions: Send {
    /// Tells whether `actor` has access to `entity` (rule 7).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn has_access(
        &mut self,
        actor: UserId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Tells whether `actor` may remove users from `chat`, reached through `entity` (rule 10).
    ///
    /// # Errors
    /// [`StoreError`] if the storage cannot tell.
    fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
