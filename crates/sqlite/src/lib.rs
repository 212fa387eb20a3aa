#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod columns;
mod edit;
mod export;
#[cfg(test)]
mod failed_write_tests;
mod log;
mod open;
mod owned_transaction;
mod reader_pool;
mod schema;
mod snapshot;
mod transaction;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::snapshot::{EditError, LoadError};
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store, StoreError};
use crm_chat_sqlite_file::backup;
use rusqlite::Connection;

pub use export::{Export, StoreCounts};
pub use log::LogPage;
pub use open::SqliteOptions;
use owned_transaction::{MAX_POLL_DELAY, OwnedTransaction, TransactionMode};
use reader_pool::ReaderPool;
use schema::SCHEMA;
pub use transaction::SqliteTransaction;

/// A handle on a store in a SQLite file, or in a private database in memory.
///
/// Clones of a handle share its connections. Several handles, in one process or in many, can be
/// open on one file at the same time. Handles work with any async runtime, and with a bare
/// `block_on`.
///
/// A transaction holds the write lock of the file from `begin` to its end. Other transactions wait
/// without blocking a thread, and fail as
/// [`StoreErrorKind::Unavailable`](crm_chat_domain::StoreErrorKind::Unavailable) after
/// [`SqliteOptions::lock_timeout`]. A method that only reads, such as `begin_read`, reads one state
/// of the file; it neither waits for a writer nor delays one. A database in memory has one
/// connection, which every method waits for.
///
/// If the file is replaced or deleted while it is open, every method fails as *unavailable*. If a
/// newer program migrates it, every method fails as *unsupported*.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// The connection that writes.
    connection: Arc<Mutex<Connection>>,
    /// The file and the connections that read it; `None` for a database in memory.
    readers: Option<Arc<ReaderPool>>,
    lock_timeout: Duration,
}

impl Sqlite {
    /// Returns the default options for opening a store.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    /// Opens the store in a file with the default [options](Self::options), and creates it if it
    /// does not exist.
    ///
    /// # Errors
    /// See [`SqliteOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path).await
    }

    /// Opens an empty store in memory. Only this handle and its clones can access it.
    ///
    /// # Errors
    /// See [`SqliteOptions::open_in_memory`].
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        Self::options().open_in_memory().await
    }

    /// Replaces the contents of the store by a snapshot, in one transaction. Numbers its log from
    /// 1, in a new [epoch](LogPage::epoch).
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the snapshot breaks a rule, [`LoadError::Store`] if the storage
    /// failed. The contents of the store are unchanged, except possibly after *outcome unknown*.
    pub async fn load(&self, snapshot: Snapshot) -> Result<(), LoadError> {
        self.load_where(snapshot, |_| Ok(true)).await.map(drop)
    }

    /// Loads a snapshot as [`load`](Self::load) does, but only into an
    /// [empty](StoreCounts::is_empty) store. Returns `false`, and changes nothing, if the store
    /// holds anything.
    ///
    /// The check and the load are one transaction: of several callers at the same time, one loads.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub async fn load_if_empty(&self, snapshot: Snapshot) -> Result<bool, LoadError> {
        let is_empty = |store: &Connection| Ok(StoreCounts::read(store)?.is_empty());
        self.load_where(snapshot, is_empty).await
    }

    /// Loads a snapshot if a condition holds in the transaction that loads it.
    async fn load_where(
        &self,
        snapshot: Snapshot,
        condition: fn(&Connection) -> Result<bool, StoreError>,
    ) -> Result<bool, LoadError> {
        // Validate before taking the lock: a large snapshot takes a while.
        let snapshot = unblock(move || snapshot.validate().map(|()| snapshot)).await?;
        let transaction = self.transaction(TransactionMode::Write).await?;
        unblock(move || {
            if !condition(&transaction)? {
                return Ok(false);
            }
            snapshot::load(&transaction, &snapshot)?;
            transaction.commit()?;
            Ok(true)
        })
        .await
    }

    /// Returns the contents of the store as a [sorted](Snapshot::sort) snapshot.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed; *corrupt* if it holds an invalid value.
    pub async fn dump(&self) -> Result<Snapshot, StoreError> {
        let export = self.export().await?;
        unblock(move || export.snapshot()).await
    }

    /// Begins an export: a snapshot that is read section by section. It occupies one of the four
    /// connections for reads until it is dropped.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub async fn export(&self) -> Result<Export, StoreError> {
        self.transaction(TransactionMode::Read).await.map(Export::new)
    }

    /// Counts the rows of each section of the store.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let transaction = self.transaction(TransactionMode::Read).await?;
        unblock(move || StoreCounts::read(&transaction)).await
    }

    /// Applies an edit in a transaction of its own.
    ///
    /// # Errors
    /// [`EditError::Rejected`] if the edit refers to something that does not exist,
    /// [`EditError::Store`] if the storage failed. Nothing has changed, except possibly after
    /// *outcome unknown*.
    pub async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        let transaction = self.transaction(TransactionMode::Write).await?;
        edit::apply(&transaction, edit)?;
        Ok(unblock(move || transaction.commit()).await?)
    }

    /// Returns up to `limit` records of the removal log with numbers above `after`, lowest first.
    /// The lowest number is 1.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed; *corrupt* if it holds an invalid record.
    pub async fn log(&self, after: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let transaction = self.transaction(TransactionMode::Read).await?;
        unblock(move || log::read(&transaction, after, limit)).await
    }

    /// Returns the same records as [`log`](Self::log), with the state of the log at that moment.
    ///
    /// # Errors
    /// As for [`log`](Self::log).
    pub async fn log_page(&self, after: u64, limit: usize) -> Result<LogPage, StoreError> {
        let transaction = self.transaction(TransactionMode::Read).await?;
        unblock(move || log::read_page(&transaction, after, limit)).await
    }

    /// Deletes the records of the removal log with numbers below `before`, and returns how many
    /// were deleted. Their numbers are never assigned again. The records are deleted in several
    /// transactions, so that other writers do not wait for all of them.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed. Some of the records may have been deleted.
    pub async fn prune_log(&self, before: u64) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let transaction = self.transaction(TransactionMode::Write).await?;
            let (deleted, more) = unblock(move || {
                let pruned = log::prune(&transaction, before)?;
                transaction.commit()?;
                Ok::<_, StoreError>(pruned)
            })
            .await?;
            total += deleted;
            if !more {
                return Ok(total);
            }
            // Other processes poll for the lock with this delay. Without a pause here, they would
            // hardly ever find it free.
            Timer::after(MAX_POLL_DELAY).await;
        }
    }

    /// Writes a copy of the store to a new file, while others write. The copy is consistent,
    /// checked and synced; on Unix, only its owner can read it. A store that is restored from it
    /// begins a new [epoch](LogPage::epoch).
    ///
    /// # Errors
    /// *unavailable* if the file exists already or cannot be written, *corrupt* if the store is
    /// damaged. No copy is left behind.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref().to_owned();
        let operation = format!("back up the store to `{}`", path.display());
        let copied = if let Some(pool) = self.readers.clone() {
            unblock(move || pool.file().backup(&path, log::end_epoch)).await
        } else {
            let connection = self.connection.lock_arc().await;
            unblock(move || backup(&connection, &SCHEMA, &path, log::end_epoch)).await
        };
        copied.map_err(|error| error.with_operation(operation))
    }

    /// Returns the size of the journal in bytes; 0 if there is none. It grows while a transaction
    /// or an export prevents SQLite from copying its pages into the file.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        self.readers.as_ref().map_or(0, |pool| pool.file().wal_bytes())
    }

    async fn transaction(&self, mode: TransactionMode) -> Result<OwnedTransaction, StoreError> {
        OwnedTransaction::begin(self, mode).await
    }
}

impl Store for Sqlite {
    type Tx = SqliteTransaction;

    async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        let transaction = self.transaction(TransactionMode::Write).await?;
        // A commit in memory does not wait for a disk.
        Ok(SqliteTransaction::writing(transaction, self.readers.is_some()))
    }

    async fn begin_read(&self) -> Result<SqliteTransaction, StoreError> {
        let transaction = self.transaction(TransactionMode::Read).await?;
        Ok(SqliteTransaction::reading(transaction))
    }
}
