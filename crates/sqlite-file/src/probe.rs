//! Inspection of a file before SQLite opens it for writing.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

use crm_chat_domain::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::failed;
use crate::file::unavailable;
use crate::schema::Schema;

/// A classification of what a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// There is no file.
    Missing,
    /// An empty file.
    Empty,
    /// A file of a version that can be opened.
    Usable,
    /// A file of a newer version.
    Newer(u32),
    /// A SQLite database of another kind.
    Foreign,
    /// Anything but a SQLite database, or one whose header is damaged.
    NotADatabase,
}

/// Classifies a file without changing it or what lies beside it, by the header in the file itself.
///
/// The application id is in that header from the first transaction on, since only then is the
/// journal switched to WAL. A newer version may be in the journal alone; [`Schema::migrate`] reads
/// it again, under the lock.
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
        Err(error) => Err(failed("read the file's header")(error)),
    }
}

/// Reads the application id and the version; `None` if the file is shorter than any database.
///
/// Through SQLite: POSIX drops every lock that a process has on a file once the process closes any
/// descriptor of it, and SQLite alone knows which descriptors must stay open
/// (<https://www.sqlite.org/howtocorrupt.html>, 2.2). `immutable` keeps it from taking locks of its
/// own, from creating files, and from rolling a journal back.
fn header(path: &Path) -> rusqlite::Result<Option<(u32, u32)>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let probe = Connection::open_with_flags(uri(path, "?mode=ro&immutable=1"), flags)?;
    // While pages are copied from the journal into the file, or after a crash meanwhile, the header
    // may count pages that the file does not have yet. Without this, SQLite calls such a file
    // corrupt before it looks at the journal.
    probe.pragma_update(None, "writable_schema", true)?;
    // The smallest page that there is: a file shorter than a page counts as empty.
    probe.pragma_update(None, "page_size", 512)?;
    let number = |name| probe.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, version) = (number("application_id")?, number("user_version")?);
    let header = (id.cast_unsigned(), version.cast_unsigned());
    Ok((number("page_count")? > 0).then_some(header))
}

/// Returns the URI of an absolute path, with parameters.
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
            // A string takes all that is written to it.
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

    /// As a checkpoint leaves it that is killed after the first of several pages.
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
