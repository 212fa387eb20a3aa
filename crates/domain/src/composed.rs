//! A transaction composed of four separate port implementations.

use crate::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, Permissions, Removal, Role, StoreError, UnitOfWork,
    UserId, UserRepo,
};

/// A transaction composed of four values, each of which implements one port.
///
/// Use it if your data is spread over several systems, such as tables of your own and a permission
/// service over HTTP.
///
/// `chats` is also the unit of work: it receives the prefetch, the commit and the rollback. **Only
/// `chats` is atomic in that case.** The answers of the other three may be stale by the time of the
/// commit: if a right is revoked, a link is deleted or a user is deactivated while the removal
/// runs, the removal may not see it. Keep all four in one database where that matters.
///
/// `chats` also answers for the [successor](ChatRepo::successor), which joins members with users.
/// If the users are kept elsewhere, `chats` needs access to them.
///
/// ```
/// use crm_chat_domain::{ChatId, Composed, Entity, Permissions, Store, StoreError, UserId};
/// use crm_chat_memory::{Memory, MemoryTransaction};
///
/// /// Grants every right to the administrators, and none to others.
/// #[derive(Clone)]
/// struct Admins(Vec<UserId>);
///
/// impl Permissions for Admins {
///     async fn has_access(&mut self, actor: UserId, _: Entity) -> Result<bool, StoreError> {
///         Ok(self.0.contains(&actor))
///     }
///
///     async fn may_remove(
///         &mut self,
///         actor: UserId,
///         _: ChatId,
///         _: Entity,
///     ) -> Result<bool, StoreError> {
///         Ok(self.0.contains(&actor))
///     }
/// }
///
/// struct App {
///     chats: Memory,
///     crm: Memory,
///     users: Memory,
///     admins: Admins,
/// }
///
/// impl Store for App {
///     type Tx = Composed<MemoryTransaction, MemoryTransaction, MemoryTransaction, Admins>;
///
///     async fn begin(&self) -> Result<Self::Tx, StoreError> {
///         Ok(Composed {
///             chats: self.chats.begin().await?,
///             crm: self.crm.begin().await?,
///             users: self.users.begin().await?,
///             permissions: self.admins.clone(),
///         })
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Composed<C, R, U, P> {
    /// Chats and members, and the unit of work.
    pub chats: C,
    /// Links between entities and chats.
    pub crm: R,
    /// Users.
    pub users: U,
    /// Rights.
    pub permissions: P,
}

impl<C, R, U, P> UnitOfWork for Composed<C, R, U, P>
where
    C: UnitOfWork,
    R: Send,
    U: Send,
    P: Send,
{
    async fn prefetch(&mut self, actor: UserId, removal: &Removal) {
        self.chats.prefetch(actor, removal).await;
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.chats.commit().await
    }

    async fn rollback(self) -> Result<(), StoreError> {
        self.chats.rollback().await
    }
}

impl<C: ChatRepo, R: Send, U: Send, P: Send> ChatRepo for Composed<C, R, U, P> {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        self.chats.messenger_installed().await
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        self.chats.role(chat, user).await
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        self.chats.successor(chat, leaving).await
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        self.chats.remove_member(change).await
    }
}

impl<C: Send, R: CrmRepo, U: Send, P: Send> CrmRepo for Composed<C, R, U, P> {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        self.crm.last_chat(entity).await
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        self.crm.is_linked(chat, entity).await
    }
}

impl<C: Send, R: Send, U: UserRepo, P: Send> UserRepo for Composed<C, R, U, P> {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        self.users.is_active(user).await
    }
}

impl<C: Send, R: Send, U: Send, P: Permissions> Permissions for Composed<C, R, U, P> {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        self.permissions.has_access(actor, entity).await
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        self.permissions.may_remove(actor, chat, entity).await
    }
}
