//! The ports: everything that the core asks of a storage backend.
//!
//! [`ChatRepo`], [`CrmRepo`], [`UserRepo`] and [`Permissions`] answer the questions of the rules,
//! and [`ChatRepo::remove_member`] is the one write. [`UnitOfWork`] ends a transaction, [`Store`]
//! begins one.
//!
//! Each MUST names the cases of the conformance suite that check it, such as (E4).

use std::future::{Future, ready};
use std::sync::Arc;

use crate::{Change, ChatId, Entity, Removal, StoreError, UserId};

/// The role of a member in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The owner of the chat. A chat has at most one.
    Owner,
    /// A member who does not own the chat.
    Member,
}

/// The port for chats and their members.
///
/// # Errors
/// Every method returns [`StoreError`] if the storage could not answer (N4). A chat or a user that
/// does not exist is an ordinary answer, not an error.
pub trait ChatRepo: Send {
    /// Returns `true` if the messenger is installed (rule 6).
    fn messenger_installed(&mut self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the role of `user` in `chat` (rule 12), or `None` if the user is not a member.
    ///
    /// An implementation:
    /// - MUST return `None` for a user who is not a member, known or not (N1);
    /// - MUST return `None` for a chat that does not exist (E4, E6).
    fn role(
        &mut self,
        chat: ChatId,
        user: UserId,
    ) -> impl Future<Output = Result<Option<Role>, StoreError>> + Send;

    /// Returns the member who owns `chat` once its owner `leaving` has left, or `None` if no member
    /// qualifies.
    ///
    /// The core asks only if the user to be removed owns the chat. The answer joins members with
    /// users, which is one query in a relational database:
    ///
    /// ```sql
    /// SELECT m.user_id FROM members m JOIN users u ON u.id = m.user_id
    ///  WHERE m.chat_id = ?1 AND m.user_id <> ?2 AND u.active AND u.kind = 'human'
    ///  ORDER BY m.position LIMIT 1
    /// ```
    ///
    /// An implementation:
    /// - MUST return only a member who is an active human, neither a bot nor an external user (O2);
    /// - MUST return the one of these who joined earliest (O1); a former member who joins again is
    ///   the last to have joined (O6);
    /// - MUST NOT return `leaving` (O5).
    fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> impl Future<Output = Result<Option<UserId>, StoreError>> + Send;

    /// Makes a change: ends the membership, changes the owner as [`Change::owner`] says, and
    /// appends a [`RemovalRecord`](crate::RemovalRecord) with the current time to the log.
    ///
    /// Returns `true` if a member was removed. If none was, nothing changed.
    ///
    /// An implementation:
    /// - MUST make the whole change or nothing of it (K3, R8), and nothing besides (N3, O4);
    /// - MUST append exactly one record for each change, with a number higher than any that a
    ///   reader has seen (R12);
    /// - MUST answer by the rows that the write affected, not by an earlier read (N5).
    ///
    /// # Errors
    /// [`StoreError`] if the storage could not make the change. Nothing of it may be kept then.
    fn remove_member(
        &mut self,
        change: &Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The port for links between CRM entities and chats.
///
/// # Errors
/// Every method returns [`StoreError`] if the storage could not answer. An entity or a chat that
/// does not exist is an ordinary answer, not an error.
pub trait CrmRepo: Send {
    /// Returns the chat of the newest link of `entity` (rule 8), or `None` if it has no link.
    ///
    /// An implementation:
    /// - MUST order links by when they were made; a link that is made again is the newest (E2);
    /// - MUST return `None` for an entity without a link, known or not (E3).
    fn last_chat(
        &mut self,
        entity: Entity,
    ) -> impl Future<Output = Result<Option<ChatId>, StoreError>> + Send;

    /// Returns `true` if `chat` exists and is linked to `entity` (rule 9).
    ///
    /// An implementation:
    /// - MUST return `false` for a chat that is linked to other entities only (E4);
    /// - MUST return `false` for a chat or an entity that does not exist (E4, E6).
    fn is_linked(
        &mut self,
        chat: ChatId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The port for users.
///
/// # Errors
/// The method returns [`StoreError`] if the storage could not answer.
pub trait UserRepo: Send {
    /// Returns `true` if `user` exists and is active (rule 11).
    ///
    /// An implementation MUST return `false` for a user who does not exist (U1).
    fn is_active(&mut self, user: UserId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The port for rights.
///
/// The two questions are separate: neither right implies the other (U3). An implementation that
/// caches MUST key its cache by everything that the question names; an answer kept for one actor is
/// wrong for the next (U2).
///
/// # Errors
/// Every method returns [`StoreError`] if the storage could not answer.
pub trait Permissions: Send {
    /// Returns `true` if `actor` has access to `entity` (rule 7).
    ///
    /// An implementation:
    /// - MUST answer for this actor (U2) and this entity, not for another entity of the same chat
    ///   (E1);
    /// - MUST return `false` for an actor or an entity that it does not know (U3).
    fn has_access(
        &mut self,
        actor: UserId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns `true` if `actor` may remove users from `chat`, reached through `entity` (rule 10).
    ///
    /// An implementation:
    /// - MUST answer for this actor (U2), this chat and this entity;
    /// - MUST return `false` for an actor or a chat that it does not know (U3, E6).
    fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The end of a transaction.
///
/// An implementation:
/// - MUST roll back if it is dropped before `commit` was first polled, and leave no lock behind
///   (R8);
/// - MUST make its transactions serialisable, those that only read among them (R1 to R6, R10, R11).
pub trait UnitOfWork: Send + Sized {
    /// Announces the removal that is about to be checked, so that a networked backend can fetch its
    /// facts in one round trip. Does nothing by default.
    ///
    /// A failure to fetch is not reported here. Keep it until the rules ask for the fact: they may
    /// decide before they reach it.
    fn prefetch(&mut self, actor: UserId, removal: &Removal) -> impl Future<Output = ()> + Send {
        let _ = (actor, removal);
        ready(())
    }

    /// Keeps the effects of the transaction.
    ///
    /// An implementation:
    /// - MUST leave the transaction whole or absent if it is dropped after it was first polled
    ///   (R8);
    /// - MUST fail if the storage has aborted the transaction, whatever was answered meanwhile (R6,
    ///   R7).
    ///
    /// # Errors
    /// [`StoreErrorKind::OutcomeUnknown`](crate::StoreErrorKind::OutcomeUnknown) if the effects may
    /// have been kept nevertheless. With every other kind nothing was kept (K3).
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Discards the effects of the transaction.
    ///
    /// An implementation MUST keep nothing, and never show the discarded effects to others (R7).
    ///
    /// # Errors
    /// [`StoreError`] if the storage did not confirm the rollback. Nothing is kept in that case
    /// either.
    fn rollback(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A unit of work that answers the four ports. Implemented for every type that qualifies.
///
/// The core asks each question with its whole context, at most once for each removal, and never
/// caches an answer. Absence is data (`Option`, `bool`); an error means that a question could not
/// be answered.
///
/// Implement the methods of the ports as plain `async fn`. Keep values that are not `Send`, such as
/// a driver's statement or a cell, in a synchronous helper that returns before the next `.await`.
/// Otherwise the compiler rejects the implementation, because its future is not `Send`.
pub trait Transaction: UnitOfWork + ChatRepo + CrmRepo + UserRepo + Permissions {}

impl<T: UnitOfWork + ChatRepo + CrmRepo + UserRepo + Permissions> Transaction for T {}

/// A handle that begins transactions. Share it by reference, by [`Arc`] or by its own `Clone`.
pub trait Store: Send + Sync {
    /// The transaction. It owns everything it needs; dropping it rolls back.
    type Tx: Transaction + 'static;

    /// Begins a transaction.
    ///
    /// An implementation MUST leave neither a transaction nor a lock behind if the future is
    /// dropped (R8).
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`](crate::StoreErrorKind::Unavailable) if the store could not
    /// be reached or a wait timed out; other kinds as the backend documents.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Begins a transaction that only reads. [`explain`](crate::explain()) uses it. Calls
    /// [`begin`](Self::begin) by default.
    ///
    /// It has the same isolation: all its reads are of one state (R6). A backend may make it
    /// cheaper, for example with a snapshot that takes no write lock and does not wait for writers.
    /// A write in such a transaction MUST fail as
    /// [`StoreErrorKind::Unsupported`](crate::StoreErrorKind::Unsupported); no case checks that.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    fn begin_read(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send {
        self.begin()
    }

    /// Waits before the replay of a conflict, where `attempt` counts the replays from 1. Returns at
    /// once by default.
    ///
    /// Adapters have clocks, the core has none. A backend whose transactions conflict often waits
    /// longer with each attempt, and a random part of that time:
    ///
    /// ```
    /// # use std::time::Duration;
    /// /// Returns the longest wait before a replay: 2, 4, 8, … up to 64 ms.
    /// fn longest_wait(attempt: u32) -> Duration {
    ///     Duration::from_millis(1 << attempt.min(6))
    /// }
    /// # assert_eq!(longest_wait(1).as_millis(), 2);
    /// # assert_eq!(longest_wait(7).as_millis(), 64);
    /// ```
    fn backoff(&self, attempt: u32) -> impl Future<Output = ()> + Send {
        let _ = attempt;
        ready(())
    }
}

impl<S: Store> Store for Arc<S> {
    type Tx = S::Tx;

    fn begin(&self) -> impl Future<Output = Result<S::Tx, StoreError>> + Send {
        S::begin(self)
    }

    fn begin_read(&self) -> impl Future<Output = Result<S::Tx, StoreError>> + Send {
        S::begin_read(self)
    }

    fn backoff(&self, attempt: u32) -> impl Future<Output = ()> + Send {
        S::backoff(self, attempt)
    }
}
