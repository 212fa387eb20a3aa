//! Copies of a database in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::error::failed;
use crate::file::{create_new_private, with_suffix};
use crate::probe::uri;
use crate::schema::Schema;

/// Writes a consistent copy of a database to a new file, which only its owner can read. Others may
/// write meanwhile.
///
/// `adapt` changes the copy before it is checked, synced and given its name. The connection must
/// not be in a transaction.
///
/// # Errors
/// *unavailable* if the file exists already or cannot be written, *unsupported* if the database is
/// of a newer version, *corrupt* if the database is damaged. The file does not exist then, unless
/// it did before.
pub fn backup(
    connection: &Connection,
    schema: &Schema,
    path: &Path,
    adapt: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let path = std::path::absolute(path).map_err(unwritable)?;
    // The empty file reserves the name, and is replaced by a copy that is complete: a backup that
    // is killed must not leave a part of a copy that looks like a backup.
    create_new_private(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => unwritable("the file exists already"),
        _ => unwritable(error),
    })?;
    let partial = with_suffix(&path, ".partial");
    let written = reserve(&partial).and_then(|()| {
        let copied = write(connection, schema, &partial, adapt)
            .and_then(|()| fs::rename(&partial, &path).map_err(unwritable))
            .and_then(|()| sync_directory(&path).map_err(unwritable));
        if copied.is_err() {
            // Report the original error: what cannot be removed does not look like a backup.
            let _ = fs::remove_file(&partial);
            let _ = fs::remove_file(with_suffix(&partial, "-journal"));
        }
        copied
    });
    if written.is_err() {
        let _ = fs::remove_file(&path);
    }
    written
}

fn reserve(partial: &Path) -> Result<(), StoreError> {
    create_new_private(partial).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => unwritable(format!(
            "`{}` is left from a backup that was interrupted, or one is running: remove it",
            partial.display()
        )),
        _ => unwritable(error),
    })
}

fn write(
    connection: &Connection,
    schema: &Schema,
    partial: &Path,
    adapt: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // VACUUM INTO reads in one transaction, which holds up no writer, and leaves out free pages and
    // deleted rows.
    connection.execute("VACUUM INTO ?1", [uri(partial, "")]).map_err(failed(COPY))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(partial, flags).map_err(failed(COPY))?;
    schema.check_version(&copy).map_err(failed(COPY))??;
    adapt(&copy)?;
    check(&copy)?;
    copy.close().map_err(|(_, error)| failed(COPY)(error))?;
    // VACUUM INTO does not promise to sync.
    File::open(partial).and_then(|file| file.sync_all()).map_err(unwritable)
}

fn check(copy: &Connection) -> Result<(), StoreError> {
    let integrity: String =
        copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed(COPY))?;
    let dangling = copy
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut check| check.exists([]))
        .map_err(failed(COPY))?;
    let problem = match (integrity.as_str(), dangling) {
        ("ok", false) => return Ok(()),
        ("ok", true) => "a row refers to one that is missing".to_owned(),
        (problem, _) => problem.to_owned(),
    };
    Err(StoreError::new(StoreErrorKind::Corrupt, "check the copy").with_source(problem))
}

/// Makes a new name in a directory durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        // Only Unix opens a directory, and only there a rename must be synced.
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

const COPY: &str = "copy the database";

fn unwritable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "write the backup").with_source(source)
}
