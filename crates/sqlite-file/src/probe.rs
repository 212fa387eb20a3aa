//! Inspection of a file before SQLite opens it for writing.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

use crm_chat_domain::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::ResultExt;
use crate::file::unavailable;
use crate::schema::Schema;

/// The kind of file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// No file.
    Missing,
    /// An empty file.
    Empty,
    /// A database with the schema, of this version or an older one.
    Usable,
    /// A database with the schema, of a newer version.
    Newer(u32),
    /// A SQLite database with another schema.
    Foreign,
    /// Not a SQLite database, or one whose header is damaged.
    NotADatabase,
}

/// Classifies a file by its header, without modifying it or its journal.
///
/// The header contains the application id from the first transaction on, because the journal is
/// switched to WAL only after that. A newer version may still be in the journal alone, so
/// [`Schema::migrate`] reads the version again, under the lock.
pub(crate) fn probe(path: &Path, schema: &Schema) -> Result<FileKind, StoreError> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => return Ok(FileKind::Empty),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileKind::Missing),
        Err(error) => return Err(unavailable(error)),
    }
    #[cfg(unix)]
    rustix::fs::access(path, rustix::fs::Access::READ_OK)
        .map_err(|error| unavailable(std::io::Error::from(error)))?;
    match header(path) {
        Ok(None) => Ok(FileKind::NotADatabase),
        Ok(Some((id, version))) if id == schema.application_id => {
            Ok(if version > schema.latest() { FileKind::Newer(version) } else { FileKind::Usable })
        }
        Ok(_) => Ok(FileKind::Foreign),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Ok(FileKind::NotADatabase)
        }
        Err(error) => Err(error).context("read the file's header"),
    }
}

/// Reads the application id and the version, or `None` if the file is shorter than any database.
///
/// SQLite itself must open the file: on POSIX systems, closing any descriptor of a file drops all
/// locks of the process on it, and only SQLite knows which descriptors have to stay open
/// (<https://www.sqlite.org/howtocorrupt.html>, 2.2). With `immutable`, SQLite takes no locks,
/// creates no files and does not roll back a journal.
fn header(path: &Path) -> rusqlite::Result<Option<(u32, u32)>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let probe = Connection::open_with_flags(uri(path, "?mode=ro&immutable=1"), flags)?;
    // During a checkpoint, or after a crash in one, the header may count pages that the file does
    // not have yet. Without this setting, SQLite reports such a file as corrupt before it reads the
    // journal.
    probe.pragma_update(None, "writable_schema", true)?;
    // Use the smallest page size, because a file shorter than one page counts as empty.
    probe.pragma_update(None, "page_size", 512)?;
    let number = |name| probe.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, version) = (number("application_id")?, number("user_version")?);
    let header = (id.cast_unsigned(), version.cast_unsigned());
    Ok((number("page_count")? > 0).then_some(header))
}

/// Returns the URI of an absolute path, followed by `parameters`.
pub(crate) fn uri(path: &Path, parameters: &str) -> String {
    let mut uri = "file://".to_owned();
    let bytes = path.as_os_str().as_encoded_bytes();
    if !bytes.starts_with(b"/") {
        uri.push('/');
    }
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + parameters
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::schema::tests::NOTES;

    #[test]
    fn path_of_any_characters_is_escaped() {
        for (path, expected) in [
            ("/a/b-c_d.db", "file:///a/b-c_d.db?x"),
            ("//a?b#c%41 ö", "file:////a%3Fb%23c%2541%20%C3%B6?x"),
        ] {
            assert_eq!(uri(Path::new(path), "?x"), expected);
        }
    }

    /// A checkpoint that is killed after the first of several pages leaves such a header.
    #[test]
    fn header_that_counts_pages_not_yet_written_is_usable() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a b?c#d%41.db");
        NOTES.migrate(&Connection::open(&file).unwrap()).unwrap();
        let mut content = fs::read(&file).unwrap();
        content[28..32].copy_from_slice(&1000_u32.to_be_bytes());
        fs::write(&file, &content).unwrap();
        assert_eq!(probe(&file, &NOTES).unwrap(), FileKind::Usable);
        assert_eq!(fs::read(&file).unwrap(), content);
    }

    #[test]
    fn each_kind_of_file_is_recognised() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("notes.db");
        assert_eq!(probe(&file, &NOTES).unwrap(), FileKind::Missing);
        for (content, expected) in [
            (&b""[..], FileKind::Empty),
            (b"x", FileKind::NotADatabase),
            (&[0; 4096], FileKind::NotADatabase),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(probe(&file, &NOTES).unwrap(), expected);
        }
        fs::remove_file(&file).unwrap();
        for (sql, expected) in [
            ("PRAGMA page_size = 512; CREATE TABLE t (x)", FileKind::Foreign),
            ("PRAGMA application_id = 0x6e6f7465", FileKind::Usable),
            ("PRAGMA user_version = 2", FileKind::Newer(2)),
            ("PRAGMA user_version = -1", FileKind::Newer(u32::MAX)),
            ("PRAGMA application_id = -1", FileKind::Foreign),
        ] {
            Connection::open(&file).unwrap().execute_batch(sql).unwrap();
            assert_eq!(probe(&file, &NOTES).unwrap(), expected, "{sql}");
        }
    }
}
