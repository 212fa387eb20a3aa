//! A store that keeps all it knows in one document, and a number that says which state of it this is.
//!
//! A transaction works on a copy. Committing compares the number with the one that the copy was made of: if another
//! transaction committed in between, this one conflicts, and the core replays it.

use std::sync::{Arc, Mutex, PoisonError};

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, LogEntry, OwnerChange, Permissions, RemovalRecord,
    Role, Snapshot, Store, StoreError, StoreErrorKind, UnitOfWork, UserId, UserRepo,
};

/// The document and its number.
type Versioned = (u64, Snapshot);

/// A handle on the document.
#[derive(Clone)]
pub struct Documents(Arc<Mutex<Versioned>>);

/// A copy of the document, at work.
pub struct Copied {
    origin: Documents,
    number: u64,
    document: Snapshot,
}

impl Documents {
    /// Makes a store that holds a valid snapshot.
    pub fn holding(document: Snapshot) -> Self {
        Self(Arc::new(Mutex::new((0, document))))
    }

    /// Returns a copy of the document, and its number.
    fn copy(&self) -> Versioned {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what is committed.
    pub async fn dump(&self) -> Snapshot {
        let mut document = self.copy().1;
        document.sort();
        document
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`.
    pub async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry> {
        let numbered = (1..).zip(self.copy().1.removals);
        let entries = numbered.map(|(sequence, record)| LogEntry { sequence, record });
        let above = entries.filter(|entry| entry.sequence > after);
        above.take(limit).collect()
    }

    /// Puts a document in the place of the one numbered so; tells whether that one still stood.
    pub fn replace(&self, number: u64, document: Snapshot) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = current.0 == number;
        if stands {
            *current = (number + 1, document);
        }
        stands
    }

    /// Makes a change of any kind, as often as it takes.
    pub fn update<E>(&self, make: impl Fn(Snapshot) -> Result<Snapshot, E>) -> Result<(), E> {
        loop {
            let (number, document) = self.copy();
            if self.replace(number, make(document)?) {
                return Ok(());
            }
        }
    }
}

impl Store for Documents {
    type Tx = Copied;

    async fn begin(&self) -> Result<Copied, StoreError> {
        let (number, document) = self.copy();
        Ok(Copied { origin: self.clone(), number, document })
    }
}

impl UnitOfWork for Copied {
    // Also for a transaction that only read. Its copy is one state, so it could do without; it is simpler not to tell
    // them apart.
    async fn commit(self) -> Result<(), StoreError> {
        if self.origin.replace(self.number, self.document) {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::Conflict, "commit the document"))
        }
    }

    async fn rollback(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl ChatRepo for Copied {
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

impl CrmRepo for Copied {
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

impl UserRepo for Copied {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let mut users = self.document.users.iter();
        Ok(users.any(|known| known.id == user && known.active))
    }
}

impl Permissions for Copied {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        let mut access = self.document.access.iter();
        Ok(access.any(|access| access.user == actor && access.entity == entity))
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        _entity: Entity,
    ) -> Result<bool, StoreError> {
        let mut removers = self.document.removers.iter();
        Ok(removers.any(|remover| remover.user == actor && remover.chat == chat))
    }
}
