//! The systems outside the tables of chats: the CRM, the users and the rights.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_chat_domain::{
    ChatId, CrmRepo, Entity, Permissions, StoreError, StoreErrorKind, UserId, UserRepo,
};
use tokio::sync::{mpsc, oneshot};

use crate::members::Answer;

/// The chats of each entity, those of newer links last.
#[derive(Clone)]
pub(crate) struct Crm(pub(crate) Arc<BTreeMap<Entity, Vec<ChatId>>>);

impl CrmRepo for Crm {
    async fn last_chat(&mut self, entity: Entity) -> Answer<Option<ChatId>> {
        Ok(self.0.get(&entity).and_then(|chats| chats.last().copied()))
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Answer<bool> {
        Ok(self.0.get(&entity).is_some_and(|chats| chats.contains(&chat)))
    }
}

/// The active users, each with `true` for a human.
#[derive(Clone)]
pub(crate) struct Directory(pub(crate) Arc<BTreeMap<UserId, bool>>);

impl Directory {
    pub(crate) fn is_active_human(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|human| *human)
    }
}

impl UserRepo for Directory {
    async fn is_active(&mut self, user: UserId) -> Answer<bool> {
        Ok(self.0.contains_key(&user))
    }
}

/// A question to the permission service, with the channel for its answer.
pub(crate) type Question = (UserId, Entity, Option<ChatId>, oneshot::Sender<bool>);

/// The permission service, a task in place of a remote service. User 1 has every right, and all
/// users have access to every entity.
pub(crate) async fn answer(mut questions: mpsc::Receiver<Question>) {
    while let Some((actor, _entity, chat, reply)) = questions.recv().await {
        // Sending fails if the removal that asked was dropped meanwhile.
        let _ = reply.send(actor.get() == 1 || chat.is_none());
    }
}

/// A client of the permission service. A missing answer is a storage failure, not a refusal.
#[derive(Clone)]
pub(crate) struct Rights(pub(crate) mpsc::Sender<Question>);

impl Rights {
    async fn ask(&self, actor: UserId, entity: Entity, chat: Option<ChatId>) -> Answer<bool> {
        let failed = StoreError::new(StoreErrorKind::Unavailable, "ask the permission service");
        let (reply, answer) = oneshot::channel();
        // If this fails, `reply` is dropped with it, and the next line fails too.
        let _ = self.0.send((actor, entity, chat, reply)).await;
        answer.await.map_err(|error| failed.with_source(error))
    }
}

impl Permissions for Rights {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Answer<bool> {
        self.ask(actor, entity, None).await
    }

    async fn may_remove(&mut self, actor: UserId, chat: ChatId, entity: Entity) -> Answer<bool> {
        self.ask(actor, entity, Some(chat)).await
    }
}
