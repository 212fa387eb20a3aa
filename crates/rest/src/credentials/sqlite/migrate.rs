//! Numbered migrations, one transaction each.

use crm_chat_domain::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::digest::Key;
use super::error::{failed, unsupported};

/// Stands in the header of every file of credentials: `crmk` in ASCII. A store of chats has another.
pub(super) const APPLICATION_ID: u32 = 0x6372_6d6b;

/// The n-th brings a file from version n to n + 1. Never edited after release.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/001_credentials.sql")];

/// The version that the last migration brings a file to.
#[expect(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub(super) const LATEST: u32 = MIGRATIONS.len() as u32;

/// Brings a file to the latest version. An empty database becomes a file of credentials.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    while version(connection)? != LATEST {
        step(connection)?;
    }
    Ok(())
}

/// Runs the next migration, if there is one still to run once the lock is held.
fn step(connection: &Connection) -> Result<(), StoreError> {
    let failed = || failed("migrate the credentials");
    // IMMEDIATE, so that of two who open a new file at once, one waits and then sees what the other did.
    let transaction =
        Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed())?;
    let version = version(&transaction)?;
    if let Some(migration) = usize::try_from(version)
        .ok()
        .and_then(|next| MIGRATIONS.get(next))
    {
        transaction.execute_batch(migration).map_err(failed())?;
        if version == 0 {
            let key = Key::random()?;
            transaction
                .execute("INSERT INTO key VALUES (1, ?1)", [key.bytes()])
                .map_err(failed())?;
        }
        let (id, next) = (APPLICATION_ID, version + 1);
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {id}; PRAGMA user_version = {next}"
            ))
            .map_err(failed())?;
    }
    transaction.commit().map_err(failed())
}

/// Reads the version; 0 for an empty database.
fn version(connection: &Connection) -> Result<u32, StoreError> {
    let (id, version, tables): (i64, u32, i64) = connection
        .query_row(
            "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    (SELECT count(*) FROM sqlite_schema)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(failed("read the version of the credentials"))?;
    match (id == i64::from(APPLICATION_ID), version) {
        (true, version) if version > LATEST => Err(newer(version)),
        (true, version) => Ok(version),
        (false, 0) if id == 0 && tables == 0 => Ok(0),
        (false, _) => Err(foreign()),
    }
}

/// Says that a file is of a newer version.
pub(super) fn newer(version: u32) -> StoreError {
    unsupported(format_args!(
        "its schema has version {version}, and this program knows up to {LATEST}: use a newer program"
    ))
}

/// Says that a database holds no credentials.
pub(super) fn foreign() -> StoreError {
    unsupported("it is a SQLite database, but holds no credentials of this program")
}
