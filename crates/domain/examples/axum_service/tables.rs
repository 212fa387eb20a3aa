//! The service's own tables and their transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use crm_chat_domain::{Change, ChatId, Entity, Store, StoreError, UnitOfWork, UserId};
use tokio::sync::{Mutex, OwnedMutexGuard};

#[derive(Clone, Default)]
pub(crate) struct Tables {
    /// The employees, who are active and have access to every entity.
    pub(crate) staff: BTreeSet<UserId>,
    /// The one chat of each entity, and the keeper of the entity, who may remove users from the
    /// chat.
    pub(crate) kept: BTreeMap<Entity, (UserId, ChatId)>,
    /// The members of all chats, in the order in which they joined.
    pub(crate) members: Vec<(ChatId, UserId)>,
    pub(crate) owners: BTreeMap<ChatId, UserId>,
    pub(crate) log: Vec<(Change, SystemTime)>,
}

#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<Tables>>);

impl From<Tables> for Database {
    fn from(tables: Tables) -> Self {
        Self(Arc::new(Mutex::new(tables)))
    }
}

/// A transaction: it locks the tables and works on a copy, so dropping it rolls back.
pub(crate) struct Tx {
    tables: OwnedMutexGuard<Tables>,
    pub(crate) draft: Tables,
}

impl Store for Database {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        let tables = self.0.clone().lock_owned().await;
        let draft = tables.clone();
        Ok(Tx { tables, draft })
    }
}

impl UnitOfWork for Tx {
    async fn commit(mut self) -> Result<(), StoreError> {
        *self.tables = self.draft;
        Ok(())
    }

    async fn rollback(self) -> Result<(), StoreError> {
        Ok(())
    }
}
