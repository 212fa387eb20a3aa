//! The transaction, and its answers to the ports.

use std::time::SystemTime;

use async_lock::MutexGuardArc;
use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, OwnerChange, Permissions, RemovalRecord, Role,
    StoreError, Timestamp, UnitOfWork, UserId, UserRepo,
};

use crate::world::{Members, World};

/// A transaction on a [`Memory`](crate::Memory) store.
///
/// It owns the lock on the state and writes in place. Dropping it without a commit undoes its
/// writes.
#[derive(Debug)]
pub struct MemoryTransaction {
    world: MutexGuardArc<World>,
    /// The state of the changed chat before each write, oldest first.
    undo: Vec<(ChatId, Members)>,
}

impl MemoryTransaction {
    pub(crate) const fn new(world: MutexGuardArc<World>) -> Self {
        Self { world, undo: Vec::new() }
    }
}

/// Undoes the writes, unless they were committed.
impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        // Each write appended one record and saved one chat, so the lengths correspond.
        let kept = self.world.log.len() - self.undo.len();
        self.world.log.truncate(kept);
        // Newest first: a chat that changed twice ends in its oldest state.
        while let Some((chat, members)) = self.undo.pop() {
            self.world.chats.insert(chat, members);
        }
    }
}

impl UnitOfWork for MemoryTransaction {
    async fn commit(mut self) -> Result<(), StoreError> {
        // The writes are in place already; without the saved chats, `drop` keeps them.
        self.undo.clear();
        Ok(())
    }

    async fn rollback(self) -> Result<(), StoreError> {
        // Dropping `self` undoes the writes.
        Ok(())
    }
}

impl ChatRepo for MemoryTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        Ok(self.world.messenger_installed)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let members = self.world.chats.get(&chat);
        let members = members.filter(|members| members.joined.contains(&user));
        Ok(members.map(
            |members| {
                if members.owner == Some(user) { Role::Owner } else { Role::Member }
            },
        ))
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        let may_own = |member: &UserId| {
            let user = self.world.users.get(member);
            *member != leaving
                && user.is_some_and(|user| user.active && user.kind == UserKind::Human)
        };
        let members = self.world.chats.get(&chat);
        Ok(members.and_then(|members| members.joined.iter().copied().find(may_own)))
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        let world = &mut *self.world;
        let Some(members) = world.chats.get_mut(&change.chat) else {
            return Ok(false);
        };
        let Some(index) = members.joined.iter().position(|user| *user == change.user) else {
            return Ok(false);
        };
        self.undo.push((change.chat, members.clone()));
        members.joined.remove(index);
        match change.owner {
            OwnerChange::Unchanged => {}
            OwnerChange::PassesTo(owner) => members.owner = Some(owner),
            OwnerChange::Vacant => members.owner = None,
        }
        #[expect(clippy::disallowed_methods, reason = "the backend stamps its records")]
        let now = Timestamp::try_from(SystemTime::now()).ok();
        world.log.push(RemovalRecord::new(change, now));
        Ok(true)
    }
}

impl CrmRepo for MemoryTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        // Links are sorted by entity first, so those of one entity are a range.
        let all = (entity, ChatId::MIN)..=(entity, ChatId::MAX);
        let newest = self.world.links.range(all).max_by_key(|(_, made)| **made);
        Ok(newest.map(|(&(_, chat), _)| chat))
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        Ok(self.world.links.contains_key(&(entity, chat)))
    }
}

impl UserRepo for MemoryTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        Ok(self.world.users.get(&user).is_some_and(|user| user.active))
    }
}

impl Permissions for MemoryTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        Ok(self.world.access.contains(&(actor, entity)))
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        _entity: Entity,
    ) -> Result<bool, StoreError> {
        Ok(self.world.removers.contains(&(actor, chat)))
    }
}
