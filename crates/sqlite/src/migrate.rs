//! Numbered migrations, one transaction each.
//!
//! Written here and not taken from a crate, since the version is to be read under the same lock under which the
//! migration runs: two processes may open a new file at once, and a file that is not ours must not be touched.

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::Connection;

use crate::error::failed;

/// Stands in the header of every store's file: `crmc` in ASCII.
pub(crate) const APPLICATION_ID: u32 = 0x6372_6d63;

/// The n-th brings a store from version n to n + 1. Never edited after release.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/001_initial.sql")];

/// The version that the last migration brings a store to.
#[expect(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub(crate) const LATEST: u32 = MIGRATIONS.len() as u32;

/// Brings a store to the latest version. A new, empty database becomes a store.
///
/// # Errors
/// *Unsupported* if the database is not a store or of a newer version. It is untouched then.
pub(crate) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    while version(connection)? != LATEST {
        step(connection)?;
    }
    Ok(())
}

/// Runs the next migration, if there is one still to run once the lock is held.
fn step(connection: &Connection) -> Result<(), StoreError> {
    let failed = || failed("migrate the store");
    // IMMEDIATE, so that of two who open a new file at once, one waits and then sees what the other did.
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)
            .map_err(failed())?;
    let version = version(&transaction)?;
    if let Some(migration) = usize::try_from(version)
        .ok()
        .and_then(|next| MIGRATIONS.get(next))
    {
        transaction.execute_batch(migration).map_err(failed())?;
        let (id, next) = (APPLICATION_ID, version + 1);
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {id}; PRAGMA user_version = {next}"
            ))
            .map_err(failed())?;
    }
    transaction.commit().map_err(failed())
}

/// Reads a store's version; 0 for an empty database.
fn version(connection: &Connection) -> Result<u32, StoreError> {
    let (id, version, tables): (i64, u32, i64) = connection
        .query_row(
            "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    (SELECT count(*) FROM sqlite_schema)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(failed("read the version of the store"))?;
    match (id == i64::from(APPLICATION_ID), version) {
        (true, version) if version > LATEST => Err(newer(version)),
        (true, version) => Ok(version),
        (false, 0) if id == 0 && tables == 0 => Ok(0),
        (false, _) => Err(foreign()),
    }
}

/// Says that a store is of a newer version.
pub(crate) fn newer(version: u32) -> StoreError {
    unsupported(format!(
        "its schema has version {version}, and this program knows up to {LATEST}: use a newer program"
    ))
}

/// Says that a database is not a store.
pub(crate) fn foreign() -> StoreError {
    unsupported("it is a SQLite database of another program".to_owned())
}

fn unsupported(problem: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, "use the database").with_source(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database in memory with an application id, a version and, if wanted, a table.
    fn database(id: u32, version: u32, table: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let header = format!("PRAGMA application_id = {id}; PRAGMA user_version = {version}");
        connection.execute_batch(&header).unwrap();
        connection.execute_batch(table).unwrap();
        connection
    }

    #[test]
    fn what_is_no_store_of_a_known_version_is_refused_under_the_lock_too() {
        let foreign = "it is a SQLite database of another program";
        let newer = "its schema has version 2, and this program knows up to 1: use a newer program";
        for (id, version, table, expected) in [
            (0, 0, "", Ok(0)),
            (APPLICATION_ID, 0, "", Ok(0)),
            (APPLICATION_ID, LATEST, "", Ok(LATEST)),
            (APPLICATION_ID, LATEST + 1, "", Err(newer)),
            (0, 0, "CREATE TABLE t (x)", Err(foreign)),
            (7, 0, "", Err(foreign)),
            (0, LATEST, "", Err(foreign)),
            (7, LATEST, "CREATE TABLE t (x)", Err(foreign)),
        ] {
            let found = version_of(id, version, table);
            let expected = expected
                .map_err(|because| format!("cannot use the database: unsupported: {because}"));
            assert_eq!(found, expected, "{id} {version} {table}");
        }
    }

    fn version_of(id: u32, at: u32, table: &str) -> Result<u32, String> {
        version(&database(id, at, table)).map_err(|error| error.report())
    }
}
