//! A store in another process: what its handles do goes over a socket to a process that has the file open.

use std::path::{Path, PathBuf};
use std::process::Child;

use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, Permissions, Role, Store, StoreError,
    StoreErrorKind, UnitOfWork, UserId, UserRepo,
};
use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use smol::net::unix::UnixStream;

mod process;
mod words;

use words::{FromWord, ToWords};

/// A handle on a store that another process, its own, has open. The process ends with the handle.
pub(crate) struct Remote {
    process: Child,
    socket: PathBuf,
    /// The store's file.
    pub(crate) file: PathBuf,
}

impl Remote {
    /// Starts a process that opens the store in `file`.
    pub(crate) async fn start(file: &Path) -> Self {
        let (process, socket) = process::start(file).await;
        Self { process, socket, file: file.to_owned() }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A transaction in the other process, which rolls it back when the connection ends.
pub(crate) struct RemoteTransaction {
    connection: BufReader<UnixStream>,
}

impl RemoteTransaction {
    /// Asks one line, and reads one.
    async fn ask<T: FromWord>(&mut self, question: String) -> Result<T, StoreError> {
        let lost = |error: std::io::Error| {
            StoreError::new(StoreErrorKind::Other, "reach the other process").with_source(error)
        };
        let line = question + "\n";
        self.connection.get_mut().write_all(line.as_bytes()).await.map_err(lost)?;
        let mut answer = String::new();
        self.connection.read_line(&mut answer).await.map_err(lost)?;
        words::read_answer(answer.trim_end())
    }
}

impl Store for Remote {
    type Tx = RemoteTransaction;

    async fn begin(&self) -> Result<RemoteTransaction, StoreError> {
        let connection = UnixStream::connect(&self.socket).await.unwrap();
        let mut tx = RemoteTransaction { connection: BufReader::new(connection) };
        tx.ask::<()>("begin".to_owned()).await?;
        Ok(tx)
    }
}

impl UnitOfWork for RemoteTransaction {
    async fn commit(mut self) -> Result<(), StoreError> {
        self.ask("commit".to_owned()).await
    }

    async fn rollback(mut self) -> Result<(), StoreError> {
        self.ask("rollback".to_owned()).await
    }
}

impl ChatRepo for RemoteTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        self.ask("messenger".to_owned()).await
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        self.ask(format!("role {chat} {user}")).await
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        self.ask(format!("successor {chat} {leaving}")).await
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        self.ask(format!("remove {}", change.to_words())).await
    }
}

impl CrmRepo for RemoteTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        self.ask(format!("last {entity}")).await
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        self.ask(format!("linked {chat} {entity}")).await
    }
}

impl UserRepo for RemoteTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        self.ask(format!("active {user}")).await
    }
}

impl Permissions for RemoteTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        self.ask(format!("access {actor} {entity}")).await
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        self.ask(format!("may {actor} {chat} {entity}")).await
    }
}
