//! [mockall] mocks of the ports.
//!
//! Four of them make up a [`MockTransaction`], and a [`MockStore`] returns the transactions that a
//! test has prepared. As with every mock, an unexpected call panics, including `prefetch` and
//! `backoff`.
//!
//! ```
//! use crm_chat_conformance::doubles::mocks::{MockStore, MockTransaction};
//! use crm_chat_domain::{Removal, UserId, remove_user};
//!
//! # futures_lite::future::block_on(async {
//! let mut store = MockStore::new();
//! store.expect_begin().return_once(|| {
//!     let mut tx = MockTransaction::default();
//!     tx.chats.expect_prefetch().return_const(());
//!     tx.chats.expect_messenger_installed().return_once(|| Ok(false));
//!     tx.chats.expect_commit().return_once(|| Ok(()));
//!     Ok(tx)
//! });
//!
//! let removal = Removal::new("deal:288".parse()?, UserId::try_from(12_i64)?);
//! let refusal = remove_user(&store, UserId::try_from(1_i64)?, &removal).await.unwrap_err();
//! assert_eq!(refusal.to_string(), "the messenger is not installed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, Permissions, Removal, Role, Store, StoreError,
    UnitOfWork, UserId, UserRepo,
};
use mockall::mock;

mock! {
    /// Mocks [`ChatRepo`], and [`UnitOfWork`] so that a [`Composed`](crm_chat_domain::Composed)
    /// transaction can use it.
    pub ChatRepo {}

    impl ChatRepo for ChatRepo {
        async fn messenger_installed(&mut self) -> Result<bool, StoreError>;
        async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError>;
        async fn successor(&mut self, chat: ChatId, leaving: UserId) -> Result<Option<UserId>, StoreError>;
        async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError>;
    }

    impl UnitOfWork for ChatRepo {
        async fn prefetch(&mut self, actor: UserId, removal: &Removal);
        async fn commit(self) -> Result<(), StoreError>;
        async fn rollback(self) -> Result<(), StoreError>;
    }
}

mock! {
    /// Mocks [`CrmRepo`].
    pub CrmRepo {}

    impl CrmRepo for CrmRepo {
        async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError>;
        async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError>;
    }
}

mock! {
    /// Mocks [`UserRepo`].
    pub UserRepo {}

    impl UserRepo for UserRepo {
        async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError>;
    }
}

mock! {
    /// Mocks [`Permissions`].
    pub Permissions {}

    impl Permissions for Permissions {
        async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError>;
        async fn may_remove(&mut self, actor: UserId, chat: ChatId, entity: Entity) -> Result<bool, StoreError>;
    }
}

/// A complete transaction of mocks. By default it expects no call.
pub type MockTransaction =
    crm_chat_domain::Composed<MockChatRepo, MockCrmRepo, MockUserRepo, MockPermissions>;

mock! {
    /// Mocks [`Store`]: it returns the [`MockTransaction`]s that a test has prepared.
    pub Store {}

    impl Store for Store {
        type Tx = MockTransaction;
        async fn begin(&self) -> Result<MockTransaction, StoreError>;
        async fn backoff(&self, attempt: u32);
    }
}
