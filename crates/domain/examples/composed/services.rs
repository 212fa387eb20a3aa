//! What the chats do not know: the CRM, the users, the rights.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm_chat_domain::{
    ChatId, CrmRepo, Entity, Permissions, StoreError, StoreErrorKind, UserId, UserRepo,
};
use tokio::sync::{mpsc, oneshot};

use crate::members::Answer;

/// The chats of each entity, the newest link last.
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

/// The active users, and whether each is a human.
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

/// What the permission service is asked, and where it answers.
pub(crate) type Question = (UserId, Entity, Option<ChatId>, oneshot::Sender<bool>);

/// The permission service, here a task that stands for a remote one: user 1 may do everything, and
/// everyone may look.
pub(crate) async fn answer(mut questions: mpsc::Receiver<Question>) {
    while let Some((actor, _entity, chat, reply)) = questions.recv().await {
        // Whoever asked may be gone.
        let _ = reply.send(actor.get() == 1 || chat.is_none());
    }
}

/// Asks the permission service. No answer is a failure of the storage, and no refusal.
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
