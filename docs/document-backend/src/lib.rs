//! A store that keeps its whole state in one document with a version number.
//!
//! A transaction works on a copy of the document. Its commit compares the version with the one that
//! was copied. If another transaction has committed in between, this one conflicts, and the core
//! replays it.

use std::sync::{Arc, Mutex, PoisonError};

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, LogEntry, OwnerChange, Permissions, RemovalRecord,
    Role, Snapshot, Store, StoreError, StoreErrorKind, UnitOfWork, UserId, UserRepo,
};

/// The version number and the document.
type Versioned = (u64, Snapshot);

/// A handle to the document. Its clones share the document.
#[derive(Clone)]
pub struct DocumentStore(Arc<Mutex<Versioned>>);

/// A transaction on a copy of the document.
pub struct DocumentTransaction {
    store: DocumentStore,
    version: u64,
    document: Snapshot,
}

impl DocumentStore {
    /// Returns a store of a valid snapshot.
    pub fn new(document: Snapshot) -> Self {
        Self(Arc::new(Mutex::new((0, document))))
    }

    /// Returns a copy of the document with its version.
    fn read(&self) -> Versioned {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the committed state.
    pub async fn dump(&self) -> Snapshot {
        let mut document = self.read().1;
        document.sort();
        document
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`.
    pub async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry> {
        let numbered = (1..).zip(self.read().1.removals);
        let entries = numbered.map(|(sequence, record)| LogEntry { sequence, record });
        let above = entries.filter(|entry| entry.sequence > after);
        above.take(limit).collect()
    }

    /// Replaces the document if `version` is still current. Returns `true` if it was.
    pub fn replace(&self, version: u64, document: Snapshot) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = current.0 == version;
        if is_current {
            *current = (version + 1, document);
        }
        is_current
    }

    /// Applies any change to the document, and tries again until no other commit interferes.
    pub fn update<E>(&self, change: impl Fn(Snapshot) -> Result<Snapshot, E>) -> Result<(), E> {
        loop {
            let (version, document) = self.read();
            if self.replace(version, change(document)?) {
                return Ok(());
            }
        }
    }
}

impl Store for DocumentStore {
    type Tx = DocumentTransaction;

    async fn begin(&self) -> Result<DocumentTransaction, StoreError> {
        let (version, document) = self.read();
        Ok(DocumentTransaction { store: self.clone(), version, document })
    }
}

impl UnitOfWork for DocumentTransaction {
    // A transaction that only read is checked too. Its copy is one committed state, so the check
    // could be left out; without the distinction the code is simpler.
    async fn commit(self) -> Result<(), StoreError> {
        if self.store.replace(self.version, self.document) {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::Conflict, "commit the document"))
        }
    }

    async fn rollback(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl ChatRepo for DocumentTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        Ok(self.document.messenger_installed)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let mut chats = self.document.chats.iter();
        let chat = chats.find(|known| known.id == chat && known.members.contains(&user));
        let owns = chat.map(|chat| chat.owner == Some(user));
        Ok(owns.map(|owns| if owns { Role::Owner } else { Role::Member }))
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        let Snapshot { chats, users, .. } = &self.document;
        let may_own = |member: &UserId| {
            users
                .iter()
                .any(|user| user.id == *member && user.active && user.kind == UserKind::Human)
        };
        let chat = chats.iter().find(|known| known.id == chat);
        // Members are listed in the order in which they joined, so the first eligible one succeeds.
        let mut others =
            chat.iter().flat_map(|chat| &chat.members).filter(|user| **user != leaving);
        Ok(others.find(|user| may_own(user)).copied())
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        let mut chats = self.document.chats.iter_mut();
        let Some(chat) = chats.find(|known| known.id == change.chat) else {
            return Ok(false);
        };
        let before = chat.members.len();
        chat.members.retain(|member| *member != change.user);
        if chat.members.len() == before {
            return Ok(false);
        }
        match change.owner {
            OwnerChange::Unchanged => {}
            OwnerChange::PassesTo(owner) => chat.owner = Some(owner),
            OwnerChange::Vacant => chat.owner = None,
        }
        let now = std::time::SystemTime::now().try_into().ok();
        self.document.removals.push(RemovalRecord::new(change, now));
        Ok(true)
    }
}

impl CrmRepo for DocumentTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        let mut newest_first = self.document.links.iter().rev();
        let newest = newest_first.find(|link| link.entity == entity);
        Ok(newest.map(|link| link.chat))
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        let mut links = self.document.links.iter();
        Ok(links.any(|link| link.entity == entity && link.chat == chat))
    }
}

impl UserRepo for DocumentTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let mut users = self.document.users.iter();
        Ok(users.any(|known| known.id == user && known.active))
    }
}

impl Permissions for DocumentTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        let mut grants = self.document.access.iter();
        Ok(grants.any(|grant| grant.user == actor && grant.entity == entity))
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        _entity: Entity,
    ) -> Result<bool, StoreError> {
        let mut rights = self.document.removers.iter();
        Ok(rights.any(|right| right.user == actor && right.chat == chat))
    }
}
