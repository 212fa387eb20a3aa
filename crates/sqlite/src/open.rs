//! Opening stores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::StoreError;
use crm_chat_sqlite_file::{DatabaseFile, OpenOptions, ResultExt, configure};
use rusqlite::Connection;

use crate::reader_pool::ReaderPool;
use crate::schema::SCHEMA;
use crate::{Sqlite, log};

/// Options for opening a store.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use std::time::Duration;
///
/// use crm_chat_sqlite::Sqlite;
///
/// let options = Sqlite::options().create(false).lock_timeout(Duration::from_millis(500));
/// let error = options.open("no-such-directory/crm-chat.db").await.unwrap_err();
/// assert!(error.report().ends_with("there is no such file"));
/// # });
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteOptions {
    lock_timeout: Duration,
    create: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(5), create: true }
    }
}

impl SqliteOptions {
    /// Sets how long an operation waits for other transactions before it fails as *unavailable*.
    /// The default is 5 s.
    pub const fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self { lock_timeout, ..self }
    }

    /// If `true`, a missing or empty file becomes a store; `true` by default. On Unix, only the
    /// owner can read and write a new file. Directories are not created.
    pub const fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Opens the store in a file, and migrates it to the current schema.
    ///
    /// # Errors
    /// - *unavailable*: the file does not exist and must not be created, cannot be opened or
    ///   written, or another process held it for too long;
    /// - *unsupported*: the file is a SQLite database of another program or a store of a newer
    ///   version, or its file system does not support a WAL;
    /// - *corrupt*: the file is not a SQLite database, or is damaged.
    ///
    /// A refused file is not modified.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<Sqlite, StoreError> {
        let path = path.as_ref().to_owned();
        let operation = format!("open the store `{}`", path.display());
        unblock(move || self.open_file(&path))
            .await
            .map_err(|error| error.with_operation(operation))
    }

    /// Opens an empty store in memory. It is lost when the handle and its clones are dropped.
    ///
    /// # Errors
    /// *unavailable* if there is not enough memory.
    pub async fn open_in_memory(self) -> Result<Sqlite, StoreError> {
        unblock(move || {
            let connection = Connection::open_in_memory().context("open a database")?;
            configure(&connection)?;
            SCHEMA.migrate(&connection)?;
            Ok(self.handle(connection, None))
        })
        .await
    }

    fn open_file(self, path: &Path) -> Result<Sqlite, StoreError> {
        let options = OpenOptions { create: self.create, lock_timeout: self.lock_timeout };
        let (file, connection) = DatabaseFile::open(path, &SCHEMA, options)?;
        log::ensure_epoch(&connection)?;
        // Transactions wait for the lock asynchronously instead.
        connection.busy_timeout(Duration::ZERO).context("set the busy timeout")?;
        Ok(self.handle(connection, Some(ReaderPool::new(file))))
    }

    fn handle(self, connection: Connection, readers: Option<Arc<ReaderPool>>) -> Sqlite {
        Sqlite {
            connection: Arc::new(Mutex::new(connection)),
            readers,
            lock_timeout: self.lock_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;
    use crate::owned_transaction::{OwnedTransaction, TransactionMode};

    #[test]
    fn every_connection_is_configured_to_check_and_sync() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("crm-chat.db");
        block_on(async {
            let store = Sqlite::open(&file).await.unwrap();
            let begin = |mode| OwnedTransaction::begin(&store, mode);
            let writer = begin(TransactionMode::Write).await.unwrap();
            let reader = begin(TransactionMode::Read).await.unwrap();
            for (connection, setting, expected) in
                [(&writer, "query_only", 0), (&reader, "query_only", 1)].into_iter().chain(
                    [&writer, &reader].into_iter().flat_map(|connection| {
                        [
                            (connection, "foreign_keys", 1),
                            (connection, "synchronous", 2), // FULL
                            (connection, "trusted_schema", 0),
                            (connection, "cell_size_check", 1),
                            (connection, "journal_size_limit", 64 * 1024 * 1024),
                        ]
                    }),
                )
            {
                let actual =
                    connection.pragma_query_value(None, setting, |row| row.get::<_, i64>(0));
                assert_eq!(actual, Ok(expected), "{setting}");
            }
        });
    }
}
