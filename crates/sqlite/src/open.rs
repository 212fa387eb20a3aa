//! Opening a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::StoreError;
use crm_chat_sqlite_file::{DatabaseFile, OpenOptions, configure, failed};
use rusqlite::Connection;

use crate::Sqlite;
use crate::readers::Readers;
use crate::schema::SCHEMA;

/// Options for opening a store.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use std::time::Duration;
///
/// use crm_chat_sqlite::Sqlite;
///
/// let options = Sqlite::options().create(false).lock_timeout(Duration::from_millis(500));
/// let error = options.open("no-such-folder/crm-chat.db").await.unwrap_err();
/// assert!(error.report().ends_with("there is no such file"));
/// # });
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    lock_timeout: Duration,
    create: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(5), create: true }
    }
}

impl Options {
    /// Sets the time after which an operation that waits for other transactions fails as
    /// *unavailable*; 5 s by default.
    pub const fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self { lock_timeout, ..self }
    }

    /// Sets whether to create a store where there is no file, or an empty one; true by default. On
    /// Unix only its owner may read and write a file that is created. Directories are not created.
    pub const fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Opens the store in a file, and brings it to this version's schema.
    ///
    /// # Errors
    /// - *unavailable*: there is no such file and none is to be created, it cannot be opened or
    ///   written, or another process held it for too long;
    /// - *unsupported*: it is a SQLite database of another program, or a store of a newer version,
    ///   or its journal cannot be a WAL there;
    /// - *corrupt*: it is not a SQLite database, or damaged.
    ///
    /// A file that is refused is left as it is.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<Sqlite, StoreError> {
        let path = path.as_ref().to_owned();
        let operation = format!("open the store `{}`", path.display());
        unblock(move || self.open_file(&path))
            .await
            .map_err(|error| error.with_operation(operation))
    }

    /// Opens an empty private store in memory, which is gone with the handle.
    ///
    /// # Errors
    /// *unavailable* if there is not enough memory.
    pub async fn open_in_memory(self) -> Result<Sqlite, StoreError> {
        unblock(move || {
            let connection = Connection::open_in_memory().map_err(failed("open a database"))?;
            configure(&connection)?;
            SCHEMA.migrate(&connection)?;
            Ok(self.handle(connection, None))
        })
        .await
    }

    fn open_file(self, path: &Path) -> Result<Sqlite, StoreError> {
        let options = OpenOptions { create: self.create, lock_timeout: self.lock_timeout };
        let (file, connection) = DatabaseFile::open(path, &SCHEMA, options)?;
        // From here on a session waits asynchronously.
        connection.busy_timeout(Duration::ZERO).map_err(failed("set the busy timeout"))?;
        Ok(self.handle(connection, Some(Readers::new(file))))
    }

    fn handle(self, connection: Connection, readers: Option<Arc<Readers>>) -> Sqlite {
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
    use crate::session::{Purpose, Session};

    #[test]
    fn every_connection_checks_what_it_reads_and_syncs_what_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crm-chat.db");
        block_on(async {
            let store = Sqlite::open(&file).await.unwrap();
            let session = |purpose| Session::begin(&store, purpose);
            let writer = session(Purpose::Writing).await.unwrap();
            let reader = session(Purpose::Reading).await.unwrap();
            for (session, setting, expected) in
                [(&writer, "query_only", 0), (&reader, "query_only", 1)].into_iter().chain(
                    [&writer, &reader].into_iter().flat_map(|session| {
                        [
                            (session, "foreign_keys", 1),
                            (session, "synchronous", 2), // FULL
                            (session, "trusted_schema", 0),
                            (session, "cell_size_check", 1),
                            (session, "journal_size_limit", 64 * 1024 * 1024),
                        ]
                    }),
                )
            {
                let actual = session.pragma_query_value(None, setting, |row| row.get::<_, i64>(0));
                assert_eq!(actual, Ok(expected), "{setting}");
            }
        });
    }
}
