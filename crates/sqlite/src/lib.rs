#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod edit;
mod error;
#[cfg(test)]
mod faults;
mod file;
mod log;
mod migrate;
mod open;
mod session;
mod snapshot;
mod transaction;
mod value;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::snapshot::{EditError, LoadError};
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store, StoreError};
use rusqlite::Connection;

pub use open::Options;
use session::{Session, Wait};
pub use transaction::SqliteTransaction;

/// A store in a SQLite file, or in a private database in memory. A handle: its clones are the same connection.
///
/// Several handles, in one process or in many, may be open on one file. Bound to no runtime: it works under tokio, smol
/// or a bare `block_on`.
///
/// A transaction holds the file's write lock from `begin` to its end. Whoever waits for it waits without blocking a
/// thread, and longer than [`Options::lock_timeout`] ends in
/// [`StoreErrorKind::Unavailable`](crm_chat_domain::StoreErrorKind::Unavailable).
#[derive(Clone, Debug)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    lock_timeout: Duration,
    /// Whether a commit waits for a disk.
    durable: bool,
}

impl Sqlite {
    /// Returns the options with which a store is opened, each at its default.
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens the store in a file, with every [option](Self::options) at its default; creates it if there is none.
    ///
    /// # Errors
    /// See [`Options::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path).await
    }

    /// Opens an empty private store in memory. Only this handle and its clones reach it.
    ///
    /// # Errors
    /// See [`Options::open_in_memory`].
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        Self::options().open_in_memory().await
    }

    /// Replaces everything by a snapshot in one transaction, and numbers its log from 1.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the snapshot breaks a rule, [`LoadError::Store`] if the storage failed. The store holds
    /// what it held before.
    pub async fn load(&self, snapshot: Snapshot) -> Result<(), LoadError> {
        let session = self.session(Wait::ForWriting).await?;
        unblock(move || {
            snapshot.validate()?;
            snapshot::load(&session, &snapshot)?;
            Ok(session.commit()?)
        })
        .await
    }

    /// Returns everything as a snapshot, [sorted](Snapshot::sort).
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed, of the kind *corrupt* if it holds what is no snapshot.
    pub async fn dump(&self) -> Result<Snapshot, StoreError> {
        let session = self.session(Wait::ForConnection).await?;
        unblock(move || snapshot::dump(&session)).await
    }

    /// Makes a single change in a transaction of its own.
    ///
    /// # Errors
    /// [`EditError::Rejected`] if it names what is not there, [`EditError::Store`] if the storage failed. Nothing was
    /// changed, but for *outcome unknown*.
    pub async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        let session = self.session(Wait::ForWriting).await?;
        edit::apply(&session, edit)?;
        Ok(unblock(move || session.commit()).await?)
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`, lowest first. 0 is below all.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed, of the kind *corrupt* if it holds what is no record.
    pub async fn log(&self, after: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let session = self.session(Wait::ForConnection).await?;
        unblock(move || log::read(&session, after, limit)).await
    }

    async fn session(&self, wait: Wait) -> Result<Session, StoreError> {
        Session::begin(&self.connection, self.lock_timeout, wait).await
    }
}

impl Store for Sqlite {
    type Tx = SqliteTransaction;

    async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        let session = self.session(Wait::ForWriting).await?;
        Ok(SqliteTransaction::new(session, self.durable))
    }
}
