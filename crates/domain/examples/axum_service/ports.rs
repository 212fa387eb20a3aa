//! The four ports over the service's own tables.

use std::time::SystemTime;

use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, OwnerChange, Permissions, Role, StoreError, UserId,
    UserRepo,
};

use crate::tables::Tx;

/// The answer to a question of the rules.
type Answer<T> = Result<T, StoreError>;

impl ChatRepo for Tx {
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
        let next = others.find(|(_, user)| self.draft.staff.contains(user));
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

impl CrmRepo for Tx {
    async fn last_chat(&mut self, entity: Entity) -> Answer<Option<ChatId>> {
        Ok(self.draft.kept.get(&entity).map(|(_, chat)| *chat))
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Answer<bool> {
        Ok(self.last_chat(entity).await? == Some(chat))
    }
}

impl UserRepo for Tx {
    async fn is_active(&mut self, user: UserId) -> Answer<bool> {
        Ok(self.draft.staff.contains(&user))
    }
}

impl Permissions for Tx {
    async fn has_access(&mut self, actor: UserId, _: Entity) -> Answer<bool> {
        Ok(self.draft.staff.contains(&actor))
    }

    async fn may_remove(&mut self, actor: UserId, _: ChatId, entity: Entity) -> Answer<bool> {
        let keeper = self.draft.kept.get(&entity).map(|(keeper, _)| *keeper);
        Ok(keeper == Some(actor))
    }
}
