//! How a store is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_lock::Mutex;
use blocking::unblock;
use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::Sqlite;
use crate::error::{failed, is_busy};
use crate::file::{self, Found};
use crate::migrate::{self, migrate};

/// How a store is opened.
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
        Self {
            lock_timeout: Duration::from_secs(5),
            create: true,
        }
    }
}

impl Options {
    /// Says how long to wait for others who hold the store before an operation fails as *unavailable*; 5 s by default.
    pub const fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self {
            lock_timeout,
            ..self
        }
    }

    /// Says whether to create a store where there is no file, or an empty one; true by default. Folders are not created.
    pub const fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Opens the store in a file, and brings it to this version's schema.
    ///
    /// # Errors
    /// - *unavailable*: there is no such file and none is to be created, it cannot be opened or written, or somebody
    ///   else held it for too long;
    /// - *unsupported*: it is a SQLite database of another program, or a store of a newer version;
    /// - *corrupt*: it is no SQLite database, or damaged.
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
            migrate(&connection)?;
            Ok(self.handle(connection, false))
        })
        .await
    }

    fn open_file(self, path: &Path) -> Result<Sqlite, StoreError> {
        self.check(path)?;
        // Not `:memory:`, nor a name that SQLite takes for a URI.
        let path = std::path::absolute(path).map_err(unreachable)?;
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, self.create);
        let connection =
            Connection::open_with_flags(path, flags).map_err(failed("open the file"))?;
        if connection
            .is_readonly("main")
            .map_err(failed("open the file"))?
        {
            return Err(
                StoreError::new(StoreErrorKind::Unavailable, "write the file")
                    .with_source("it is read-only, and a store is written to"),
            );
        }
        connection
            .busy_timeout(self.lock_timeout)
            .map_err(failed("set how long to wait"))?;
        configure(&connection)?;
        migrate(&connection)?;
        self.use_wal(&connection)?;
        // From here on, whoever must wait does so asynchronously.
        connection
            .busy_timeout(Duration::ZERO)
            .map_err(failed("set how long to wait"))?;
        Ok(self.handle(connection, true))
    }

    /// Refuses a file that is no store before SQLite touches it.
    fn check(&self, path: &Path) -> Result<(), StoreError> {
        match file::look(path).map_err(unreachable)? {
            Found::Nothing if !self.create => Err(unreachable("there is no such file")),
            Found::Empty if !self.create => Err(unreachable("the file is empty")),
            Found::Nothing | Found::Empty | Found::Usable => Ok(()),
            Found::Newer(version) => Err(migrate::newer(version)),
            Found::Foreign => Err(migrate::foreign()),
            Found::NoDatabase => Err(StoreError::new(
                StoreErrorKind::Corrupt,
                "read the file's header",
            )
            .with_source("it is no SQLite database, or its header is damaged")),
        }
    }

    /// Switches the journal to WAL. SQLite waits by itself for a reader, but not for a writer: it already reads the file
    /// when it asks for the write lock.
    fn use_wal(&self, connection: &Connection) -> Result<(), StoreError> {
        let start = Instant::now();
        loop {
            match connection.pragma_update(None, "journal_mode", "WAL") {
                Err(error) if is_busy(&error) && start.elapsed() < self.lock_timeout => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                result => return result.map_err(failed("switch the journal to WAL")),
            }
        }
    }

    fn handle(self, connection: Connection, durable: bool) -> Sqlite {
        Sqlite {
            connection: Arc::new(Mutex::new(connection)),
            lock_timeout: self.lock_timeout,
            durable,
        }
    }
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(32);
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             PRAGMA synchronous = FULL;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON",
        )
        .map_err(failed("configure the connection"))
}

fn unreachable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "open the file").with_source(source)
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn every_connection_checks_what_it_reads_and_syncs_what_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crm-chat.db");
        block_on(async {
            let store = Sqlite::open(&file).await.unwrap();
            let connection = store.connection.lock().await;
            for (setting, expected) in [
                ("foreign_keys", 1),
                ("synchronous", 2), // FULL
                ("trusted_schema", 0),
                ("cell_size_check", 1),
            ] {
                let set = connection.pragma_query_value(None, setting, |row| row.get::<_, i64>(0));
                assert_eq!(set, Ok(expected), "{setting}");
            }
        });
    }
}
