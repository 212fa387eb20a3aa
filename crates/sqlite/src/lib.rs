#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod edit;
mod export;
#[cfg(test)]
mod faults;
mod log;
mod open;
mod readers;
mod schema;
mod session;
mod snapshot;
mod transaction;
mod value;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::snapshot::{EditError, LoadError};
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store, StoreError};
use crm_chat_sqlite_file::{backup, failed};
use rusqlite::Connection;

pub use export::{Export, StoreCounts};
pub use log::LogPage;
pub use open::Options;
use readers::Readers;
use schema::SCHEMA;
use session::{Purpose, Session};
pub use transaction::SqliteTransaction;

/// A store in a SQLite file, or in a private database in memory. A handle: its clones share its
/// connections.
///
/// Several handles, in one process or in many, may be open on one file. Bound to no runtime: it
/// works under tokio, smol or a bare `block_on`.
///
/// A transaction holds the file's write lock from `begin` to its end. Another one waits without
/// blocking a thread; after [`Options::lock_timeout`] it fails as
/// [`StoreErrorKind::Unavailable`](crm_chat_domain::StoreErrorKind::Unavailable). What only reads,
/// `begin_read` among it, reads one state of the file, and neither waits for a writer nor holds one
/// up. In memory there is one connection, and everything waits for it.
///
/// If the file is replaced or deleted while it is open, everything fails as *unavailable*; if a
/// newer program migrates it, everything fails as *unsupported*.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// The connection that writes.
    connection: Arc<Mutex<Connection>>,
    /// The connections that read, and the file; `None` in memory.
    readers: Option<Arc<Readers>>,
    lock_timeout: Duration,
}

impl Sqlite {
    /// Returns the options with which a store is opened, each at its default.
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens the store in a file, with every [option](Self::options) at its default; creates it if
    /// there is none.
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

    /// Replaces everything by a snapshot in one transaction, and numbers its log from 1, in a new
    /// [epoch](LogPage::epoch).
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the snapshot breaks a rule, [`LoadError::Store`] if the storage
    /// failed. The store holds what it held before.
    pub async fn load(&self, snapshot: Snapshot) -> Result<(), LoadError> {
        // Before the lock is taken: a large snapshot takes a while.
        let snapshot = unblock(move || snapshot.validate().map(|()| snapshot)).await?;
        let session = self.session(Purpose::Writing).await?;
        unblock(move || {
            snapshot::load(&session, &snapshot)?;
            Ok(session.commit()?)
        })
        .await
    }

    /// Returns everything as a snapshot, [sorted](Snapshot::sort).
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed, of the kind *corrupt* if it holds what is not a
    /// snapshot.
    pub async fn dump(&self) -> Result<Snapshot, StoreError> {
        let export = self.export().await?;
        unblock(move || export.snapshot()).await
    }

    /// Takes a snapshot to be read section by section. It keeps one of a few connections until it
    /// is dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub async fn export(&self) -> Result<Export, StoreError> {
        self.session(Purpose::Reading).await.map(Export::new)
    }

    /// Counts what the store holds.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let session = self.session(Purpose::Reading).await?;
        unblock(move || StoreCounts::read(&session)).await
    }

    /// Makes a single change in a transaction of its own.
    ///
    /// # Errors
    /// [`EditError::Rejected`] if it names what is not there, [`EditError::Store`] if the storage
    /// failed. Nothing was changed, but for *outcome unknown*.
    pub async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        let session = self.session(Purpose::Writing).await?;
        edit::apply(&session, edit)?;
        Ok(unblock(move || session.commit()).await?)
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`, lowest
    /// first. 0 is below all.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed, of the kind *corrupt* if it holds what is not a
    /// record.
    pub async fn log(&self, after: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let session = self.session(Purpose::Reading).await?;
        unblock(move || log::read(&session, after, limit)).await
    }

    /// Returns records as [`log`](Self::log) does, with the state of the log at that moment.
    ///
    /// # Errors
    /// As for [`log`](Self::log).
    pub async fn log_page(&self, after: u64, limit: usize) -> Result<LogPage, StoreError> {
        let session = self.session(Purpose::Reading).await?;
        unblock(move || log::read_page(&session, after, limit)).await
    }

    /// Deletes the records of the removal log that are numbered below `before`, and returns how
    /// many there were. Their numbers are not given again. Others may write meanwhile, since the
    /// records are deleted in several transactions.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed. Some of the records may be deleted then.
    pub async fn prune_log(&self, before: u64) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let session = self.session(Purpose::Writing).await?;
            let (deleted, more) = unblock(move || {
                let pruned = log::prune(&session, before)?;
                session.commit()?;
                Ok::<_, StoreError>(pruned)
            })
            .await?;
            total += deleted;
            if !more {
                return Ok(total);
            }
            // Other processes poll for the lock this often. Without a pause they would hardly ever
            // find it free.
            Timer::after(session::LONGEST_PAUSE).await;
        }
    }

    /// Writes a copy of the store to a new file, which only its owner can read on Unix. Others may
    /// write meanwhile. The copy is of one state, checked and synced; it is a store in a file by
    /// itself, with an [epoch](LogPage::epoch) of its own.
    ///
    /// # Errors
    /// *unavailable* if the file exists already or cannot be written, *corrupt* if the store is
    /// damaged. There is no copy then.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref().to_owned();
        let operation = format!("back up the store to `{}`", path.display());
        let adapt = |copy: &Connection| log::begin_epoch(copy).map_err(failed("begin an epoch"));
        let copied = if let Some(readers) = self.readers.clone() {
            unblock(move || readers.file().backup(&path, adapt)).await
        } else {
            let connection = self.connection.lock_arc().await;
            unblock(move || backup(&connection, &SCHEMA, &path, adapt)).await
        };
        copied.map_err(|error| error.with_operation(operation))
    }

    /// Returns the size of the file's journal in bytes; 0 if there is none. It grows while a
    /// transaction or an export keeps pages from being copied into the file.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        self.readers.as_ref().map_or(0, |readers| readers.file().wal_bytes())
    }

    async fn session(&self, purpose: Purpose) -> Result<Session, StoreError> {
        Session::begin(self, purpose).await
    }
}

impl Store for Sqlite {
    type Tx = SqliteTransaction;

    async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        let session = self.session(Purpose::Writing).await?;
        // A commit in memory waits for no disk.
        Ok(SqliteTransaction::writing(session, self.readers.is_some()))
    }

    async fn begin_read(&self) -> Result<SqliteTransaction, StoreError> {
        let session = self.session(Purpose::Reading).await?;
        Ok(SqliteTransaction::reading(session))
    }
}
