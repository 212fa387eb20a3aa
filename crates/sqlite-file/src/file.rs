//! Opening a file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::backup::backup;
use crate::error::{failed, is_busy};
use crate::identity::FileIdentity;
use crate::probe::{FileKind, probe};
use crate::schema::Schema;

/// Options for opening a file.
///
/// Exhaustive, since its users are part of this workspace and must decide about each field.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// If true, a missing or empty file becomes one of the schema's kind.
    pub create: bool,
    /// The time to wait for other connections, and the busy timeout of the connection that is
    /// returned.
    pub lock_timeout: Duration,
}

/// A file that was opened, and its identity at that moment.
#[derive(Debug)]
pub struct DatabaseFile {
    schema: &'static Schema,
    path: PathBuf,
    wal: PathBuf,
    /// The file, the journal and the journal's index, as they were when they were opened.
    opened: Vec<(PathBuf, FileIdentity)>,
}

impl DatabaseFile {
    /// Opens a file for writing and brings it to the schema's latest version.
    ///
    /// # Errors
    /// - *unavailable*: the file is missing or empty and must not be created, it cannot be opened
    ///   or written, its permissions are too wide, or another connection held it for too long;
    /// - *unsupported*: it is a SQLite database of another kind or of a newer version, or it cannot
    ///   have a WAL;
    /// - *corrupt*: it is not a SQLite database, or damaged.
    ///
    /// A file that is refused is left as it is.
    pub fn open(
        path: &Path,
        schema: &'static Schema,
        options: OpenOptions,
    ) -> Result<(Self, Connection), StoreError> {
        // Neither `:memory:` nor a name that SQLite takes for a URI.
        let path = std::path::absolute(path).map_err(unavailable)?;
        prepare(&path, schema, options)?;
        // SQLite follows symbolic links and puts the journal beside the file that they lead to.
        let target = path.canonicalize().map_err(unavailable)?;
        let mut file = Self {
            schema,
            wal: with_suffix(&target, "-wal"),
            opened: Vec::with_capacity(3),
            path: path.clone(),
        };
        file.remember(path)?;
        file.check_permissions()?;
        let connection = file.connect()?;
        set_busy_timeout(&connection, options.lock_timeout)?;
        schema.migrate(&connection)?;
        use_wal(&connection, options.lock_timeout)?;
        // The first read after the switch opens the journal. From here on neither it nor its index
        // goes away before the connection is closed.
        schema.check_version(&connection).map_err(failed(OPEN))??;
        file.remember(file.wal.clone())?;
        file.remember(with_suffix(&target, "-shm"))?;
        Ok((file, connection))
    }

    fn remember(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let identity = FileIdentity::of(&path).map_err(unavailable)?;
        self.opened.push((path, identity));
        Ok(())
    }

    /// Opens one more connection to the file that cannot write, with a busy timeout.
    ///
    /// # Errors
    /// *unavailable* if the file cannot be opened, or was replaced or deleted.
    pub fn open_reader(&self, busy_timeout: Duration) -> Result<Connection, StoreError> {
        let reader = self.connect()?;
        set_busy_timeout(&reader, busy_timeout)?;
        reader.pragma_update(None, "query_only", true).map_err(failed(OPEN))?;
        Ok(reader)
    }

    /// Checks that the paths of the file, of its journal and of the journal's index still lead to
    /// what was opened. Takes about a microsecond each.
    ///
    /// # Errors
    /// *unavailable* if they do not. What a connection reads or writes then is in a file that no
    /// other process sees.
    pub fn verify(&self) -> Result<(), StoreError> {
        for (path, opened) in &self.opened {
            match FileIdentity::of(path) {
                Ok(identity) if identity == *opened => {}
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(unavailable(error));
                }
                _ => {
                    let problem =
                        "the file was replaced or deleted while it was open: restart the program";
                    let operation = format!("use `{}`", path.display());
                    return Err(StoreError::new(StoreErrorKind::Unavailable, operation)
                        .with_source(problem));
                }
            }
        }
        Ok(())
    }

    /// Writes a consistent copy, as [`backup`] does.
    ///
    /// # Errors
    /// As for [`backup`]; *unavailable* too if the file was replaced or deleted.
    pub fn backup(
        &self,
        path: &Path,
        adapt: impl FnOnce(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // A connection of its own holds up nothing else. It is not a reader, since SQLite treats a
        // copy as a write.
        let connection = self.connect()?;
        set_busy_timeout(&connection, Duration::from_secs(5))?;
        backup(&connection, self.schema, path, adapt)
    }

    /// Returns the size of the journal in bytes; 0 if there is none.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        self.wal.metadata().map_or(0, |metadata| metadata.len())
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        self.verify()?;
        // The URI flag is for backups, which name their target by one. The path is absolute and is
        // never taken for one.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed(OPEN))?;
        // Once more, since the file may have been replaced just before it was opened.
        self.verify()?;
        // Before the first statement, which would create the journal.
        if connection.is_readonly("main").map_err(failed(OPEN))? {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "write the file")
                .with_source("it is read-only, and must be writable"));
        }
        configure(&connection)?;
        Ok(connection)
    }

    fn check_permissions(&self) -> Result<(), StoreError> {
        // Elsewhere, permissions are those of the directory.
        #[cfg(unix)]
        if self.schema.permissions == crate::FilePermissions::OwnerOnly {
            use std::os::unix::fs::PermissionsExt;
            let metadata = self.path.metadata().map_err(unavailable)?;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o066 != 0 {
                return Err(unavailable(format!(
                    "others than its owner can read or write it (mode {mode:04o}): run `chmod 600 \
                     {}`",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Refuses a file that cannot be opened before SQLite changes it, and creates one that is missing.
fn prepare(path: &Path, schema: &Schema, options: OpenOptions) -> Result<(), StoreError> {
    /// Closing a new file would drop the locks of another connection that this process has opened
    /// to it since. No connection is opened before `prepare` is done, so it is enough to do it one
    /// at a time.
    static PREPARING: Mutex<()> = Mutex::new(());

    let _preparing = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    match probe(path, schema)? {
        FileKind::Missing if options.create => create_private(path).map_err(unavailable),
        FileKind::Missing => Err(unavailable("there is no such file")),
        FileKind::Empty if !options.create => Err(unavailable("the file is empty")),
        FileKind::Empty | FileKind::Usable => Ok(()),
        FileKind::Newer(version) => Err(schema.newer(version)),
        FileKind::Foreign => Err(schema.foreign()),
        FileKind::NotADatabase => {
            Err(StoreError::new(StoreErrorKind::Corrupt, "read the file's header")
                .with_source("not a SQLite database, or its header is damaged"))
        }
    }
}

/// Creates an empty file for its owner alone. SQLite gives the journal beside it the same
/// permissions.
fn create_private(path: &Path) -> io::Result<()> {
    match create_new_private(path) {
        // Another process has created it since, and its file is as good.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates an empty file for its owner alone where there is none.
pub(crate) fn create_new_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path).map(drop)
}

/// Configures a connection: it checks what it reads and syncs what it writes.
///
/// # Errors
/// [`StoreError`] if SQLite refuses a setting.
pub fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(32);
    // The journal keeps the size it once grew to unless it is limited.
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             PRAGMA synchronous = FULL;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA journal_size_limit = 67108864",
        )
        .map_err(failed("configure the connection"))
}

/// Sets a busy timeout. SQLite counts it in milliseconds in an `int`: about 25 days at most.
fn set_busy_timeout(connection: &Connection, timeout: Duration) -> Result<(), StoreError> {
    const LONGEST: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);
    connection.busy_timeout(timeout.min(LONGEST)).map_err(failed("set the busy timeout"))
}

/// Switches the journal to WAL, where readers and writers do not wait for each other.
///
/// SQLite waits by itself for a reader, but not for a writer: it already reads the file when it
/// asks for the write lock.
fn use_wal(connection: &Connection, timeout: Duration) -> Result<(), StoreError> {
    const SWITCH: &str = "switch the journal to WAL";
    let start = Instant::now();
    let mode: String = loop {
        let read = |row: &rusqlite::Row<'_>| row.get(0);
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", read) {
            Err(error) if is_busy(&error) && start.elapsed() < timeout => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => break result.map_err(failed(SWITCH))?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    // SQLite answers with the mode that it keeps if the file system has no shared memory.
    let problem = format!("the journal mode stays `{mode}`: keep the file on a local disk");
    Err(StoreError::new(StoreErrorKind::Unsupported, SWITCH).with_source(problem))
}

/// Appends to a path's last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

const OPEN: &str = "open the file";

pub(crate) fn unavailable(
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, OPEN).with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::NOTES;

    const OPTIONS: OpenOptions = OpenOptions { create: true, lock_timeout: Duration::from_secs(5) };

    #[cfg(unix)]
    #[test]
    fn journal_that_cannot_be_switched_to_wal_is_unsupported() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("notes.db");
        // A VFS without shared memory, as on some network file systems.
        let connection =
            Connection::open_with_flags_and_vfs(&file, OpenFlags::default(), "unix-dotfile")
                .unwrap();
        let error = use_wal(&connection, Duration::ZERO).unwrap_err();
        assert_eq!(
            error.report(),
            "cannot switch the journal to WAL: unsupported: the journal mode stays `delete`: keep \
             the file on a local disk"
        );
    }

    #[test]
    fn lock_timeout_of_any_length_is_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions { lock_timeout: Duration::MAX, ..OPTIONS };
        let opened = DatabaseFile::open(&directory.path().join("notes.db"), &NOTES, options);
        assert!(opened.is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn moved_file_and_retargeted_link_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["one.db", "other.db"] {
            DatabaseFile::open(&path(name), &NOTES, OPTIONS).unwrap();
        }
        let link = |target: &str| {
            let _ = fs::remove_file(path("link.db"));
            std::os::unix::fs::symlink(target, path("link.db")).unwrap();
        };
        link("one.db");
        let (file, connection) = DatabaseFile::open(&path("link.db"), &NOTES, OPTIONS).unwrap();
        file.verify().unwrap();
        connection.execute("INSERT INTO notes VALUES ('x')", []).unwrap();
        assert!(file.wal_bytes() > 0);

        link("other.db");
        let expected = format!(
            "cannot use `{}`: unavailable: the file was replaced or deleted while it was open: \
             restart the program",
            path("link.db").display()
        );
        assert_eq!(file.verify().unwrap_err().report(), expected);
        let error = file.open_reader(Duration::ZERO).unwrap_err();
        assert_eq!(error.report(), expected);
        link("one.db");
        file.verify().unwrap();
        fs::rename(path("one.db"), path("moved.db")).unwrap();
        assert_eq!(file.verify().unwrap_err().report(), expected);
    }
}
