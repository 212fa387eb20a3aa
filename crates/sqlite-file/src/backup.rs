//! Backups of a database in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::error::ResultExt;
use crate::file::{create_new_private, with_suffix};
use crate::probe::uri;
use crate::schema::Schema;

/// Writes a consistent copy of a database to a new file while others write. Only its owner can read
/// the copy.
///
/// `adapt` changes the copy before it is checked, synced and renamed to `path`. The connection must
/// not be in a transaction.
///
/// # Errors
/// *unavailable* if the file exists already or cannot be written, *unsupported* if the database is
/// of a newer version, *corrupt* if the database is damaged. No new file is left at `path`.
pub fn backup(
    connection: &Connection,
    schema: &Schema,
    path: &Path,
    adapt: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let path = std::path::absolute(path).map_err(unwritable)?;
    // Reserve the name with an empty file and write to another one: if the process is killed, an
    // incomplete copy must not look like a backup.
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
            // Report the original error. A leftover partial file does not look like a backup.
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
            "`{}` exists: wait for the backup that is running, or remove the file if none is",
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
    // VACUUM INTO reads in one transaction, which does not delay writers. The copy contains neither
    // free pages nor deleted rows.
    connection.execute("VACUUM INTO ?1", [uri(partial, "")]).context(COPY)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(partial, flags).context(COPY)?;
    schema.check_version(&copy).context(COPY)??;
    adapt(&copy)?;
    check(&copy)?;
    copy.close().map_err(|(_, error)| error).context(COPY)?;
    // VACUUM INTO is not guaranteed to sync.
    File::open(partial).and_then(|file| file.sync_all()).map_err(unwritable)
}

/// Checks the integrity of a copy. A copy of a damaged database must not pass for a good backup.
fn check(copy: &Connection) -> Result<(), StoreError> {
    let integrity: String =
        copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).context(COPY)?;
    let dangling = copy
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut check| check.exists([]))
        .context(COPY)?;
    let problem = match (integrity.as_str(), dangling) {
        ("ok", false) => return Ok(()),
        ("ok", true) => "a row refers to a missing row".to_owned(),
        (problem, _) => problem.to_owned(),
    };
    Err(StoreError::new(StoreErrorKind::Corrupt, "check the copy").with_source(problem))
}

/// Syncs the directory of a file, so that a rename survives a power failure.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        // Other systems neither open directories nor need a sync after a rename.
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

const COPY: &str = "copy the database";

fn unwritable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "write the backup").with_source(source)
}
