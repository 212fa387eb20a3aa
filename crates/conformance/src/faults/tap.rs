//! A decorator that sees every port call.

use std::sync::Arc;

use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, Permissions, Removal, Role, Store, StoreError,
    StoreErrorKind, UnitOfWork, UserId, UserRepo,
};

/// One call of a port, with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Store::begin`].
    Begin,
    /// [`ChatRepo::messenger_installed`].
    MessengerInstalled,
    /// [`Permissions::has_access`].
    HasAccess {
        /// Whose access.
        actor: UserId,
        /// To what.
        entity: Entity,
    },
    /// [`CrmRepo::last_chat`].
    LastChat {
        /// Of what.
        entity: Entity,
    },
    /// [`CrmRepo::is_linked`].
    IsLinked {
        /// Which chat.
        chat: ChatId,
        /// To what.
        entity: Entity,
    },
    /// [`Permissions::may_remove`].
    MayRemove {
        /// Whose right.
        actor: UserId,
        /// In which chat.
        chat: ChatId,
        /// Through what.
        entity: Entity,
    },
    /// [`UserRepo::is_active`].
    IsActive {
        /// Who.
        user: UserId,
    },
    /// [`ChatRepo::role`].
    Role {
        /// In which chat.
        chat: ChatId,
        /// Whose role.
        user: UserId,
    },
    /// [`ChatRepo::successor`].
    Successor {
        /// Of which chat.
        chat: ChatId,
        /// Whose successor.
        leaving: UserId,
    },
    /// [`ChatRepo::remove_member`].
    RemoveMember(Change),
    /// [`UnitOfWork::commit`].
    Commit,
    /// [`UnitOfWork::rollback`].
    Rollback,
}

/// What a [`Call`] was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nothing but that it is done.
    Done,
    /// Yes or no.
    Fact(bool),
    /// A chat, if there is one.
    Chat(Option<ChatId>),
    /// A user, if there is one.
    User(Option<UserId>),
    /// A role, if the user is a member.
    Role(Option<Role>),
}

/// What is done before and after each port call of a [`Tapped`] store: nothing, unless it is written.
///
/// An error from [`before`](Self::before) is returned in place of the call, one from [`after`](Self::after) in place of
/// its answer. Either may wait. A tap cannot change an answer: a store that answers wrongly is a wrapper of its own.
pub trait Tap: Send + Sync + 'static {
    /// What is kept for one transaction: made before its `begin` and dropped with it.
    type Session: Default + Send;

    /// Sees an [announced](UnitOfWork::prefetch) removal.
    fn announced(&self, session: &mut Self::Session, actor: UserId, removal: &Removal) {
        let _ = (session, actor, removal);
    }

    /// Stands before a call.
    ///
    /// # Errors
    /// Whatever the caller shall get. The call is not made then.
    fn before(
        &self,
        session: &mut Self::Session,
        call: &Call,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (session, call);
        std::future::ready(Ok(()))
    }

    /// Stands after a call.
    ///
    /// # Errors
    /// Whatever the caller shall get in place of the answer. The call was made.
    fn after(
        &self,
        session: &mut Self::Session,
        call: &Call,
        told: Result<Told, StoreErrorKind>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (session, call, told);
        std::future::ready(Ok(()))
    }
}

/// A store, and the transactions that it begins, with a [`Tap`] at every port call.
#[derive(Debug)]
pub struct Tapped<S, T> {
    inner: S,
    tap: Arc<T>,
}

impl<S, T> Tapped<S, T> {
    /// Puts `tap` at `store`.
    pub fn new(store: S, tap: T) -> Self {
        Self::sharing(store, Arc::new(tap))
    }

    /// Puts a tap that others share at `store`.
    pub const fn sharing(store: S, tap: Arc<T>) -> Self {
        Self { inner: store, tap }
    }

    /// Returns the tap.
    pub const fn tap(&self) -> &Arc<T> {
        &self.tap
    }

    /// Returns the store beneath.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, T> Clone for Tapped<S, T> {
    fn clone(&self) -> Self {
        Self::sharing(self.inner.clone(), Arc::clone(&self.tap))
    }
}

/// A transaction of a [`Tapped`] store.
pub struct TappedTransaction<X, T: Tap> {
    /// Dropped first: what the session does at its end comes after the transaction's.
    inner: X,
    tap: Arc<T>,
    session: T::Session,
}

/// Makes one call between its taps. A macro: the future of an async closure cannot be required to be `Send`.
macro_rules! tapped {
    ($tap:expr, $session:expr, $call:expr, $made:expr, $told:expr) => {{
        let call = $call;
        $tap.before(&mut $session, &call).await?;
        match $made.await {
            Ok(answer) => {
                let told = $told(&answer);
                $tap.after(&mut $session, &call, Ok(told)).await?;
                Ok(answer)
            }
            Err(error) => {
                $tap.after(&mut $session, &call, Err(error.kind())).await?;
                Err(error)
            }
        }
    }};
}

impl<S: Store, T: Tap> Tapped<S, T> {
    async fn begin_with(
        &self,
        begin: impl Future<Output = Result<S::Tx, StoreError>> + Send,
    ) -> Result<TappedTransaction<S::Tx, T>, StoreError> {
        let (tap, mut session) = (Arc::clone(&self.tap), T::Session::default());
        let inner: Result<S::Tx, StoreError> =
            tapped!(tap, session, Call::Begin, begin, |_| Told::Done);
        Ok(TappedTransaction { inner: inner?, tap, session })
    }
}

impl<S: Store, T: Tap> Store for Tapped<S, T> {
    type Tx = TappedTransaction<S::Tx, T>;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        self.begin_with(self.inner.begin()).await
    }

    async fn begin_read(&self) -> Result<Self::Tx, StoreError> {
        self.begin_with(self.inner.begin_read()).await
    }

    async fn backoff(&self, attempt: u32) {
        self.inner.backoff(attempt).await;
    }
}

impl<X: UnitOfWork, T: Tap> UnitOfWork for TappedTransaction<X, T> {
    async fn prefetch(&mut self, actor: UserId, removal: &Removal) {
        self.tap.announced(&mut self.session, actor, removal);
        self.inner.prefetch(actor, removal).await;
    }

    async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, tap, mut session } = self;
        tapped!(tap, session, Call::Commit, inner.commit(), |&()| Told::Done)
    }

    async fn rollback(self) -> Result<(), StoreError> {
        let Self { inner, tap, mut session } = self;
        tapped!(tap, session, Call::Rollback, inner.rollback(), |&()| { Told::Done })
    }
}

/// Makes one call of a transaction between its taps.
macro_rules! ask {
    ($tx:ident, $call:expr, $made:expr, $told:path) => {
        tapped!($tx.tap, $tx.session, $call, $made, |answer: &_| $told(*answer))
    };
}

impl<X: ChatRepo, T: Tap> ChatRepo for TappedTransaction<X, T> {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        let call = Call::MessengerInstalled;
        ask!(self, call, self.inner.messenger_installed(), Told::Fact)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let call = Call::Role { chat, user };
        ask!(self, call, self.inner.role(chat, user), Told::Role)
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        let call = Call::Successor { chat, leaving };
        ask!(self, call, self.inner.successor(chat, leaving), Told::User)
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        let call = Call::RemoveMember(*change);
        ask!(self, call, self.inner.remove_member(change), Told::Fact)
    }
}

impl<X: CrmRepo, T: Tap> CrmRepo for TappedTransaction<X, T> {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        let call = Call::LastChat { entity };
        ask!(self, call, self.inner.last_chat(entity), Told::Chat)
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        let call = Call::IsLinked { chat, entity };
        ask!(self, call, self.inner.is_linked(chat, entity), Told::Fact)
    }
}

impl<X: UserRepo, T: Tap> UserRepo for TappedTransaction<X, T> {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let call = Call::IsActive { user };
        ask!(self, call, self.inner.is_active(user), Told::Fact)
    }
}

impl<X: Permissions, T: Tap> Permissions for TappedTransaction<X, T> {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        let call = Call::HasAccess { actor, entity };
        ask!(self, call, self.inner.has_access(actor, entity), Told::Fact)
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        let call = Call::MayRemove { actor, chat, entity };
        let asked = self.inner.may_remove(actor, chat, entity);
        ask!(self, call, asked, Told::Fact)
    }
}
