//! A store whose handles forward every operation to another process, over a socket.

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

/// A handle on a store that its own process has open. Dropping the handle ends the process.
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

/// A transaction in the other process, which rolls it back when the connection is closed.
pub(crate) struct RemoteTransaction {
    connection: BufReader<UnixStream>,
}

impl RemoteTransaction {
    /// Sends a line, and reads the line of the response.
    async fn call<T: FromWord>(&mut self, request: String) -> Result<T, StoreError> {
        let io_error = |error: std::io::Error| {
            StoreError::new(StoreErrorKind::Other, "reach the other process").with_source(error)
        };
        let line = request + "\n";
        self.connection.get_mut().write_all(line.as_bytes()).await.map_err(io_error)?;
        let mut response = String::new();
        self.connection.read_line(&mut response).await.map_err(io_error)?;
        words::read_response(response.trim_end())
    }
}

impl Store for Remote {
    type Tx = RemoteTransaction;

    async fn begin(&self) -> Result<RemoteTransaction, StoreError> {
        let connection = UnixStream::connect(&self.socket).await.unwrap();
        let mut tx = RemoteTransaction { connection: BufReader::new(connection) };
        tx.call::<()>("begin".to_owned()).await?;
        Ok(tx)
    }
}

impl UnitOfWork for RemoteTransaction {
    async fn commit(mut self) -> Result<(), StoreError> {
        self.call("commit".to_owned()).await
    }

    async fn rollback(mut self) -> Result<(), StoreError> {
        self.call("rollback".to_owned()).await
    }
}

impl ChatRepo for RemoteTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        self.call("messenger".to_owned()).await
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        self.call(format!("role {chat} {user}")).await
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        self.call(format!("successor {chat} {leaving}")).await
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        self.call(format!("remove {}", change.to_words())).await
    }
}

impl CrmRepo for RemoteTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        self.call(format!("last {entity}")).await
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        self.call(format!("linked {chat} {entity}")).await
    }
}

impl UserRepo for RemoteTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        self.call(format!("active {user}")).await
    }
}

impl Permissions for RemoteTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        self.call(format!("access {actor} {entity}")).await
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        self.call(format!("may {actor} {chat} {entity}")).await
    }
}
