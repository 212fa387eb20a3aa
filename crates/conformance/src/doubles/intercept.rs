//! A decorator that passes every port call through an interceptor.

use std::sync::Arc;

use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, Permissions, Removal, Role, Store, StoreError,
    StoreErrorKind, UnitOfWork, UserId, UserRepo,
};

/// A call of a port, with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortCall {
    /// [`Store::begin`].
    Begin,
    /// [`ChatRepo::messenger_installed`].
    MessengerInstalled,
    /// [`Permissions::has_access`].
    HasAccess {
        /// The user whose access is queried.
        actor: UserId,
        /// The entity.
        entity: Entity,
    },
    /// [`CrmRepo::last_chat`].
    LastChat {
        /// The entity.
        entity: Entity,
    },
    /// [`CrmRepo::is_linked`].
    IsLinked {
        /// The chat.
        chat: ChatId,
        /// The entity.
        entity: Entity,
    },
    /// [`Permissions::may_remove`].
    MayRemove {
        /// The user whose right is queried.
        actor: UserId,
        /// The chat.
        chat: ChatId,
        /// The entity that the request names.
        entity: Entity,
    },
    /// [`UserRepo::is_active`].
    IsActive {
        /// The user.
        user: UserId,
    },
    /// [`ChatRepo::role`].
    Role {
        /// The chat.
        chat: ChatId,
        /// The user whose role is queried.
        user: UserId,
    },
    /// [`ChatRepo::successor`].
    Successor {
        /// The chat.
        chat: ChatId,
        /// The owner who leaves.
        leaving: UserId,
    },
    /// [`ChatRepo::remove_member`].
    RemoveMember(Change),
    /// [`UnitOfWork::commit`].
    Commit,
    /// [`UnitOfWork::rollback`].
    Rollback,
}

/// The value that a [`PortCall`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// No value, only success.
    Done,
    /// A boolean.
    Fact(bool),
    /// A chat, or none.
    Chat(Option<ChatId>),
    /// A user, or none.
    User(Option<UserId>),
    /// The role of a member, or none.
    Role(Option<Role>),
}

/// Code that runs before and after each port call of an [`Intercepted`] store. The defaults do
/// nothing.
///
/// An error from [`before`](Self::before) is returned instead of making the call, and one from
/// [`after`](Self::after) instead of its result. Either may wait. An interceptor cannot change a
/// result: to return wrong answers, write a wrapper of your own.
pub trait Interceptor: Send + Sync + 'static {
    /// The state kept for one transaction: created before its `begin` and dropped with it.
    type Session: Default + Send;

    /// Observes a [prefetched](UnitOfWork::prefetch) removal.
    fn prefetched(&self, session: &mut Self::Session, actor: UserId, removal: &Removal) {
        let _ = (session, actor, removal);
    }

    /// Runs before a call.
    ///
    /// # Errors
    /// The error that the caller receives. The call is then not made.
    fn before(
        &self,
        session: &mut Self::Session,
        call: &PortCall,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (session, call);
        std::future::ready(Ok(()))
    }

    /// Runs after a call.
    ///
    /// # Errors
    /// The error that the caller receives instead of the result. The call was made.
    fn after(
        &self,
        session: &mut Self::Session,
        call: &PortCall,
        returned: Result<Returned, StoreErrorKind>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (session, call, returned);
        std::future::ready(Ok(()))
    }
}

/// A store with an [`Interceptor`] around every port call, including those of its transactions.
#[derive(Debug)]
pub struct Intercepted<S, T> {
    inner: S,
    interceptor: Arc<T>,
}

impl<S, T> Intercepted<S, T> {
    /// Wraps `store` with an interceptor.
    pub fn new(store: S, interceptor: T) -> Self {
        Self::sharing(store, Arc::new(interceptor))
    }

    /// Wraps `store` with an interceptor that is shared.
    pub const fn sharing(store: S, interceptor: Arc<T>) -> Self {
        Self { inner: store, interceptor }
    }

    /// Returns the interceptor.
    pub const fn interceptor(&self) -> &Arc<T> {
        &self.interceptor
    }

    /// Returns the wrapped store.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, T> Clone for Intercepted<S, T> {
    fn clone(&self) -> Self {
        Self::sharing(self.inner.clone(), Arc::clone(&self.interceptor))
    }
}

/// A transaction of an [`Intercepted`] store.
pub struct InterceptedTransaction<X, T: Interceptor> {
    /// Declared first and so dropped first: the transaction ends before its session does.
    inner: X,
    interceptor: Arc<T>,
    session: T::Session,
}

// A macro because the future of an async closure cannot be required to be `Send`.
macro_rules! intercepted {
    ($interceptor:expr, $session:expr, $call:expr, $future:expr, $returned:expr) => {{
        let call = $call;
        $interceptor.before(&mut $session, &call).await?;
        match $future.await {
            Ok(answer) => {
                let returned = $returned(&answer);
                $interceptor.after(&mut $session, &call, Ok(returned)).await?;
                Ok(answer)
            }
            Err(error) => {
                $interceptor.after(&mut $session, &call, Err(error.kind())).await?;
                Err(error)
            }
        }
    }};
}

impl<S: Store, T: Interceptor> Intercepted<S, T> {
    async fn begin_with(
        &self,
        begin: impl Future<Output = Result<S::Tx, StoreError>> + Send,
    ) -> Result<InterceptedTransaction<S::Tx, T>, StoreError> {
        let (interceptor, mut session) = (Arc::clone(&self.interceptor), T::Session::default());
        let inner: Result<S::Tx, StoreError> =
            intercepted!(interceptor, session, PortCall::Begin, begin, |_| Returned::Done);
        Ok(InterceptedTransaction { inner: inner?, interceptor, session })
    }
}

impl<S: Store, T: Interceptor> Store for Intercepted<S, T> {
    type Tx = InterceptedTransaction<S::Tx, T>;

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

impl<X: UnitOfWork, T: Interceptor> UnitOfWork for InterceptedTransaction<X, T> {
    async fn prefetch(&mut self, actor: UserId, removal: &Removal) {
        self.interceptor.prefetched(&mut self.session, actor, removal);
        self.inner.prefetch(actor, removal).await;
    }

    async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, interceptor, mut session } = self;
        intercepted!(interceptor, session, PortCall::Commit, inner.commit(), |&()| Returned::Done)
    }

    async fn rollback(self) -> Result<(), StoreError> {
        let Self { inner, interceptor, mut session } = self;
        intercepted!(interceptor, session, PortCall::Rollback, inner.rollback(), |&()| {
            Returned::Done
        })
    }
}

/// Makes one call of a transaction between the two halves of its interceptor.
macro_rules! query {
    ($tx:ident, $call:expr, $future:expr, $returned:path) => {
        intercepted!($tx.interceptor, $tx.session, $call, $future, |answer: &_| $returned(*answer))
    };
}

impl<X: ChatRepo, T: Interceptor> ChatRepo for InterceptedTransaction<X, T> {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        let call = PortCall::MessengerInstalled;
        query!(self, call, self.inner.messenger_installed(), Returned::Fact)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let call = PortCall::Role { chat, user };
        query!(self, call, self.inner.role(chat, user), Returned::Role)
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        let call = PortCall::Successor { chat, leaving };
        query!(self, call, self.inner.successor(chat, leaving), Returned::User)
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        let call = PortCall::RemoveMember(*change);
        query!(self, call, self.inner.remove_member(change), Returned::Fact)
    }
}

impl<X: CrmRepo, T: Interceptor> CrmRepo for InterceptedTransaction<X, T> {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        let call = PortCall::LastChat { entity };
        query!(self, call, self.inner.last_chat(entity), Returned::Chat)
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        let call = PortCall::IsLinked { chat, entity };
        query!(self, call, self.inner.is_linked(chat, entity), Returned::Fact)
    }
}

impl<X: UserRepo, T: Interceptor> UserRepo for InterceptedTransaction<X, T> {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let call = PortCall::IsActive { user };
        query!(self, call, self.inner.is_active(user), Returned::Fact)
    }
}

impl<X: Permissions, T: Interceptor> Permissions for InterceptedTransaction<X, T> {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        let call = PortCall::HasAccess { actor, entity };
        query!(self, call, self.inner.has_access(actor, entity), Returned::Fact)
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        let call = PortCall::MayRemove { actor, chat, entity };
        let result = self.inner.may_remove(actor, chat, entity);
        query!(self, call, result, Returned::Fact)
    }
}
