//! A look at a file before SQLite touches it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::migrate::{APPLICATION_ID, LATEST};

/// What a file is, by the first bytes of it. A store's application id is in the file from the first transaction on:
/// only then is the journal switched to WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no file.
    Nothing,
    /// An empty file.
    Empty,
    /// A store of a version that can be worked with.
    Usable,
    /// A store of a newer version.
    Newer(u32),
    /// A SQLite database, but not a store.
    Foreign,
    /// No SQLite database, or one whose first bytes are damaged.
    NoDatabase,
}

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Looks at a file. SQLite would leave files of its own beside a foreign one, and may write a journal back to it.
pub(crate) fn look(path: &Path) -> std::io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let mut header = Vec::with_capacity(100);
    file.take(100).read_to_end(&mut header)?;
    Ok(judge(&header))
}

fn judge(header: &[u8]) -> Found {
    if header.is_empty() {
        return Found::Empty;
    }
    // https://www.sqlite.org/fileformat2.html#the_database_header
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    match (header.starts_with(MAGIC), number(60), number(68)) {
        (true, Some(version), Some(APPLICATION_ID)) if version > LATEST => Found::Newer(version),
        (true, Some(_), Some(APPLICATION_ID)) => Found::Usable,
        (true, Some(_), Some(_)) => Found::Foreign,
        _ => Found::NoDatabase,
    }
}
