//! How a file is opened.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use super::error::{failed, is_busy};
use super::migrate::{self, APPLICATION_ID, LATEST, migrate};

/// What becomes of a file that does not exist.
#[derive(Clone, Copy)]
pub(super) enum Missing {
    Refused,
    Created,
}

/// How long who writes waits for others who write.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a check waits for whoever recovers the file after a crash: in place, so not for long.
const BRIEFLY: Duration = Duration::from_millis(100);

/// Opens a file for writing and once more for reading.
pub(super) fn open(path: &Path, missing: Missing) -> Result<(Connection, Connection), StoreError> {
    check(path, missing)?;
    // Not `:memory:`, nor a name that SQLite takes for a URI.
    let path = std::path::absolute(path).map_err(unreachable)?;
    let writer = connect(&path)?;
    if writer.is_readonly("main").map_err(failed(OPEN))? {
        return Err(
            StoreError::new(StoreErrorKind::Unavailable, "write the file")
                .with_source("it is read-only, and credentials are written to"),
        );
    }
    writer.busy_timeout(PATIENCE).map_err(failed(OPEN))?;
    migrate(&writer)?;
    use_wal(&writer)?;
    let reader = connect(&path)?;
    reader.busy_timeout(BRIEFLY).map_err(failed(OPEN))?;
    reader
        .pragma_update(None, "query_only", true)
        .map_err(failed(OPEN))?;
    Ok((writer, reader))
}

/// Refuses a file that holds no credentials before SQLite touches it, and creates one that is missing.
fn check(path: &Path, missing: Missing) -> Result<(), StoreError> {
    match (look(path), missing) {
        (Err(error), Missing::Created) if error.kind() == ErrorKind::NotFound => {
            create(path).map_err(unreachable)
        }
        (Err(error), Missing::Refused) if error.kind() == ErrorKind::NotFound => {
            Err(unreachable("there is no such file"))
        }
        (Err(error), _) => Err(unreachable(error)),
        (Ok(header), _) => judge(&header),
    }
}

/// Reads a database's header. SQLite would leave files of its own beside a foreign one, and may write a journal back.
fn look(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(100);
    File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header)
}

fn judge(header: &[u8]) -> Result<(), StoreError> {
    // https://www.sqlite.org/fileformat2.html#the_database_header
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    let magic = header.starts_with(b"SQLite format 3\0");
    match (number(60), number(68)) {
        _ if header.is_empty() => Ok(()),
        (Some(version), Some(APPLICATION_ID)) if magic && version > LATEST => {
            Err(migrate::newer(version))
        }
        (Some(_), Some(APPLICATION_ID)) if magic => Ok(()),
        (Some(_), Some(_)) if magic => Err(migrate::foreign()),
        _ => Err(
            StoreError::new(StoreErrorKind::Corrupt, "read the file's header")
                .with_source("it is no SQLite database, or its header is damaged"),
        ),
    }
}

/// Creates an empty file for its owner alone. SQLite gives the journal beside it the same permissions.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Somebody else may have created it by now, which is as well.
    options.append(true).create(true).open(path).map(drop)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed(OPEN))?;
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON",
        )
        .map_err(failed(OPEN))?;
    Ok(connection)
}

/// Switches the journal to WAL, where who reads and who writes do not wait for each other. SQLite does not wait by
/// itself here.
fn use_wal(connection: &Connection) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result.map_err(failed("switch the journal to WAL")),
        }
    }
}

const OPEN: &str = "open the file";

fn unreachable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, OPEN).with_source(source)
}
