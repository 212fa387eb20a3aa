//! The tables of chats and members, which are the unit of work.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crm_chat_domain::{
    Change, ChatId, ChatRepo, OwnerChange, Role, StoreError, UnitOfWork, UserId,
};
use tokio::sync::OwnedMutexGuard;

use crate::services::Directory;

pub(crate) type Answer<T> = Result<T, StoreError>;

#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) owners: BTreeMap<ChatId, UserId>,
    /// The members of all chats, in the order in which they joined.
    pub(crate) members: Vec<(ChatId, UserId)>,
    pub(crate) log: Vec<(Change, SystemTime)>,
}

/// A transaction: the locked tables, a working copy, and the directory that knows who may own a
/// chat.
pub(crate) struct Members {
    pub(crate) tables: OwnedMutexGuard<Tables>,
    pub(crate) draft: Tables,
    pub(crate) directory: Directory,
}

impl UnitOfWork for Members {
    async fn commit(mut self) -> Answer<()> {
        *self.tables = self.draft;
        Ok(())
    }

    async fn rollback(self) -> Answer<()> {
        Ok(())
    }
}

impl ChatRepo for Members {
    async fn messenger_installed(&mut self) -> Answer<bool> {
        Ok(true)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Answer<Option<Role>> {
        let owns = self.draft.owners.get(&chat) == Some(&user);
        let role = if owns { Role::Owner } else { Role::Member };
        let member = self.draft.members.contains(&(chat, user));
        Ok(member.then_some(role))
    }

    async fn successor(&mut self, chat: ChatId, leaving: UserId) -> Answer<Option<UserId>> {
        let members = self.draft.members.iter().copied();
        let mut others = members.filter(|(of, user)| *of == chat && *user != leaving);
        let next = others.find(|(_, user)| self.directory.is_active_human(*user));
        Ok(next.map(|(_, user)| user))
    }

    async fn remove_member(&mut self, change: &Change) -> Answer<bool> {
        let row = (change.chat, change.user);
        let Some(place) = self.draft.members.iter().position(|at| *at == row) else {
            return Ok(false);
        };
        self.draft.members.remove(place);
        match change.owner {
            OwnerChange::Unchanged => None,
            OwnerChange::PassesTo(owner) => self.draft.owners.insert(change.chat, owner),
            OwnerChange::Vacant => self.draft.owners.remove(&change.chat),
        };
        #[expect(clippy::disallowed_methods, reason = "the service stamps its records")]
        self.draft.log.push((*change, SystemTime::now()));
        Ok(true)
    }
}
