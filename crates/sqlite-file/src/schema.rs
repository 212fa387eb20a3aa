//! Schemas, their versions and migrations.
//!
//! Written here instead of taken from a crate, because the version must be read under the lock
//! under which the migration runs: two processes may open a new file at the same time, and a file
//! of another program must not be modified.

use std::cmp::Ordering;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::ResultExt;

/// The schema of a kind of SQLite file.
///
/// Exhaustive, since its two users are part of this workspace and must decide about each field.
#[derive(Debug)]
pub struct Schema {
    /// The number that identifies the schema in the header of a file.
    pub application_id: u32,
    /// The migrations, from version n to n + 1 each, counted from 0. Never edited after release.
    pub migrations: &'static [&'static str],
    /// Completes a new file within the transaction of the first migration.
    pub initialize: fn(&Connection) -> Result<(), StoreError>,
    /// The name of the contents in error messages, such as `store`.
    pub contents: &'static str,
    /// The error message for a database with another schema.
    pub foreign: &'static str,
    /// The permissions required to open a file.
    pub permissions: FilePermissions,
}

/// The permissions required to open a file.
///
/// Exhaustive, since a file is either secret or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePermissions {
    /// Any permissions. A new file is accessible to its owner only, but an operator may widen that.
    Any,
    /// No read or write permission for the group or others.
    OwnerOnly,
}

impl Schema {
    /// Returns the latest version, the one after the last migration.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "there are few migrations")]
    pub const fn latest(&self) -> u32 {
        self.migrations.len() as u32
    }

    /// Migrates a database to the latest version. Initialises an empty one.
    ///
    /// # Errors
    /// *unsupported* if the database has another schema or a newer version. It is not modified.
    pub fn migrate(&self, connection: &Connection) -> Result<(), StoreError> {
        while self.version(connection)? != self.latest() {
            self.step(connection)?;
        }
        Ok(())
    }

    /// Checks that a database still has the latest version. Call it within each transaction,
    /// because another process can migrate the file while it is open here.
    ///
    /// # Errors
    /// The inner error is *unsupported* if the version differs. The outer error is SQLite's, if the
    /// version cannot be read; a caller can check it with [`is_busy`](crate::is_busy) and retry.
    pub fn check_version(
        &self,
        connection: &Connection,
    ) -> Result<Result<(), StoreError>, rusqlite::Error> {
        let version: u32 =
            connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
        Ok(match version.cmp(&self.latest()) {
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(self.newer(version)),
            Ordering::Less => Err(unsupported(format!(
                "its schema went back to version {version} while it was open: restart the program"
            ))),
        })
    }

    /// Runs the next migration, if there is still one once the lock is held.
    fn step(&self, connection: &Connection) -> Result<(), StoreError> {
        let operation = || format!("migrate the {}", self.contents);
        // IMMEDIATE: if two processes open a new file at the same time, the second one waits, and
        // then reads the version that the first one has written.
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
            .with_context(operation)?;
        let version = self.version(&transaction)?;
        if let Some(migration) =
            usize::try_from(version).ok().and_then(|next| self.migrations.get(next))
        {
            transaction.execute_batch(migration).with_context(operation)?;
            if version == 0 {
                (self.initialize)(&transaction)?;
            }
            let (id, next) = (self.application_id, version + 1);
            transaction
                .execute_batch(&format!(
                    "PRAGMA application_id = {id}; PRAGMA user_version = {next}"
                ))
                .with_context(operation)?;
        }
        transaction.commit().with_context(operation)
    }

    /// Reads the version of a database. An empty database has version 0.
    fn version(&self, connection: &Connection) -> Result<u32, StoreError> {
        let (id, version, tables): (i64, u32, i64) = connection
            .query_row(
                "SELECT (SELECT application_id FROM pragma_application_id),
                        (SELECT user_version FROM pragma_user_version),
                        (SELECT count(*) FROM sqlite_schema)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .with_context(|| format!("read the version of the {}", self.contents))?;
        match (id == i64::from(self.application_id), version) {
            (true, version) if version > self.latest() => Err(self.newer(version)),
            (true, version) => Ok(version),
            (false, 0) if id == 0 && tables == 0 => Ok(0),
            (false, _) => Err(self.foreign()),
        }
    }

    /// Returns the error for a file of a newer version.
    pub(crate) fn newer(&self, version: u32) -> StoreError {
        let latest = self.latest();
        unsupported(format!(
            "its schema has version {version}, and this program knows up to {latest}: use a newer \
             program"
        ))
    }

    /// Returns the error for a database with another schema.
    pub(crate) fn foreign(&self) -> StoreError {
        unsupported(self.foreign.to_owned())
    }
}

fn unsupported(problem: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, "use the database").with_source(problem)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) static NOTES: Schema = Schema {
        application_id: 0x6e6f_7465,
        migrations: &["CREATE TABLE notes (text TEXT NOT NULL) STRICT"],
        initialize: |_| Ok(()),
        contents: "notes",
        foreign: "it is a SQLite database, but holds no notes",
        permissions: FilePermissions::Any,
    };

    /// Opens a database in memory with an application id, a version and optionally a table.
    fn database(id: u32, version: u32, table: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let header = format!("PRAGMA application_id = {id}; PRAGMA user_version = {version}");
        connection.execute_batch(&header).unwrap();
        connection.execute_batch(table).unwrap();
        connection
    }

    #[test]
    fn foreign_and_newer_databases_are_refused_under_the_lock() {
        let foreign = NOTES.foreign;
        let newer = "its schema has version 2, and this program knows up to 1: use a newer program";
        let (ours, latest) = (NOTES.application_id, NOTES.latest());
        for (id, version, table, expected) in [
            (0, 0, "", Ok(0)),
            (ours, 0, "", Ok(0)),
            (ours, latest, "", Ok(latest)),
            (ours, latest + 1, "", Err(newer)),
            (0, 0, "CREATE TABLE t (x)", Err(foreign)),
            (7, 0, "", Err(foreign)),
            (0, latest, "", Err(foreign)),
            (7, latest, "CREATE TABLE t (x)", Err(foreign)),
        ] {
            let actual =
                NOTES.version(&database(id, version, table)).map_err(|error| error.report());
            let expected = expected
                .map_err(|because| format!("cannot use the database: unsupported: {because}"));
            assert_eq!(actual, expected, "{id} {version} {table}");
        }
    }

    #[test]
    fn version_of_an_open_database_must_stay_the_latest() {
        for (version, expected) in [
            (NOTES.latest(), None),
            (NOTES.latest() + 1, Some("knows up to 1: use a newer program")),
            (0, Some("went back to version 0")),
        ] {
            let connection = database(NOTES.application_id, version, "");
            let actual = NOTES.check_version(&connection).unwrap();
            match expected {
                None => assert!(actual.is_ok()),
                Some(expected) => {
                    let error = actual.unwrap_err();
                    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
                    assert!(error.report().contains(expected), "{}", error.report());
                }
            }
        }
    }
}
