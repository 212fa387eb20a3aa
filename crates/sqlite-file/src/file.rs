//! Opening files, and checking them while they are open.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::backup::backup;
use crate::error::{ResultExt, is_busy};
use crate::identity::FileIdentity;
use crate::probe::{FileKind, probe};
use crate::schema::Schema;

/// Options for opening a file.
///
/// Exhaustive, since its users are part of this workspace and must decide about each field.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// If `true`, a missing or empty file becomes a database with the schema.
    pub create: bool,
    /// The maximum wait for other connections, and the busy timeout of the returned connection.
    pub lock_timeout: Duration,
}

/// An open file, with the identity that it had when it was opened.
#[derive(Debug)]
pub struct DatabaseFile {
    schema: &'static Schema,
    path: PathBuf,
    wal: PathBuf,
    /// The identities of the file, of its journal and of the index of the journal.
    opened: Vec<(PathBuf, FileIdentity)>,
}

impl DatabaseFile {
    /// Opens a file for writing and migrates it to the latest version of the schema.
    ///
    /// # Errors
    /// - *unavailable*: the file is missing or empty and must not be created, cannot be opened or
    ///   written, has too wide permissions, or another connection held it for too long;
    /// - *unsupported*: the file is a SQLite database with another schema or of a newer version, or
    ///   its file system does not support a WAL;
    /// - *corrupt*: the file is not a SQLite database, or is damaged.
    ///
    /// A refused file is not modified.
    pub fn open(
        path: &Path,
        schema: &'static Schema,
        options: OpenOptions,
    ) -> Result<(Self, Connection), StoreError> {
        // An absolute path is neither `:memory:` nor a URI, which SQLite would interpret.
        let path = std::path::absolute(path).map_err(unavailable)?;
        prepare(&path, schema, options)?;
        // SQLite follows symbolic links and creates the journal next to their target.
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
        // The first read after the switch opens the journal. From here on, SQLite keeps the journal
        // and its index until the connection is closed.
        schema.check_version(&connection).context(OPEN)??;
        file.remember(file.wal.clone())?;
        file.remember(with_suffix(&target, "-shm"))?;
        Ok((file, connection))
    }

    fn remember(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let identity = FileIdentity::of(&path).map_err(unavailable)?;
        self.opened.push((path, identity));
        Ok(())
    }

    /// Opens a read-only connection to the file, with a busy timeout.
    ///
    /// # Errors
    /// *unavailable* if the file cannot be opened, or was replaced or deleted.
    pub fn open_reader(&self, busy_timeout: Duration) -> Result<Connection, StoreError> {
        let reader = self.connect()?;
        set_busy_timeout(&reader, busy_timeout)?;
        reader.pragma_update(None, "query_only", true).context(OPEN)?;
        Ok(reader)
    }

    /// Checks that the paths of the file, of its journal and of the index of the journal still lead
    /// to the files that were opened. Each check takes about a microsecond.
    ///
    /// # Errors
    /// *unavailable* if a path leads elsewhere: connections then read and write a file that other
    /// processes cannot see.
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

    /// Writes a consistent copy of the file, like [`backup`].
    ///
    /// # Errors
    /// As for [`backup`]; also *unavailable* if the file was replaced or deleted.
    pub fn backup(
        &self,
        path: &Path,
        adapt: impl FnOnce(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // A separate connection, so that other work does not wait for the backup. It is not
        // read-only, because SQLite treats VACUUM INTO as a write.
        let connection = self.connect()?;
        set_busy_timeout(&connection, Duration::from_secs(5))?;
        backup(&connection, self.schema, path, adapt)
    }

    /// Returns the size of the journal in bytes; 0 if there is none.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        self.wal.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Opens a connection, and checks that it leads to the file that was opened.
    fn connect(&self) -> Result<Connection, StoreError> {
        self.verify()?;
        // Backups pass their target as a URI, which needs the flag. The path opened here is
        // absolute, so SQLite does not interpret it as a URI.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).context(OPEN)?;
        // Check again: the file may have been replaced just before it was opened.
        self.verify()?;
        // Check before the first statement, which would create the journal.
        if connection.is_readonly("main").context(OPEN)? {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "write the file")
                .with_source("it is read-only, and must be writable"));
        }
        configure(&connection)?;
        Ok(connection)
    }

    fn check_permissions(&self) -> Result<(), StoreError> {
        // On other systems, a file has the permissions of its directory.
        #[cfg(unix)]
        if self.schema.permissions == crate::FilePermissions::OwnerOnly {
            use std::os::unix::fs::PermissionsExt;
            let metadata = self.path.metadata().map_err(unavailable)?;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o066 != 0 {
                return Err(unavailable(format!(
                    "the group or others can read or write it (mode {mode:04o}): run `chmod 600 {}`",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Refuses an unsuitable file before SQLite can modify it, and creates a missing one.
fn prepare(path: &Path, schema: &Schema, options: OpenOptions) -> Result<(), StoreError> {
    /// Serialises the creation of files in this process. On POSIX systems, closing the descriptor
    /// of a new file drops all locks of the process on that file, and another thread may have
    /// opened it by then. No thread opens a connection before it has passed through here.
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

/// Creates an empty file with access for its owner only. SQLite gives its journal the same
/// permissions.
fn create_private(path: &Path) -> io::Result<()> {
    match create_new_private(path) {
        // Another process has created the file in the meantime, which is just as good.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates an empty file with access for its owner only. Fails if the path exists.
pub(crate) fn create_new_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path).map(drop)
}

/// Configures a connection to check what it reads and to sync what it writes.
///
/// # Errors
/// [`StoreError`] if SQLite refuses a setting.
pub fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(32);
    // Without a limit, the journal file keeps the largest size it ever had.
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             PRAGMA synchronous = FULL;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA journal_size_limit = 67108864",
        )
        .context("configure the connection")
}

/// Sets a busy timeout. SQLite stores milliseconds in an `int`, so the longest is about 25 days.
fn set_busy_timeout(connection: &Connection, timeout: Duration) -> Result<(), StoreError> {
    const LONGEST: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);
    connection.busy_timeout(timeout.min(LONGEST)).context("set the busy timeout")
}

/// Switches the journal to WAL mode, in which readers and writers do not wait for each other.
///
/// The busy timeout covers a wait for a reader, but not for a writer, because SQLite is already
/// reading the file when it requests the write lock. Hence the retries.
fn use_wal(connection: &Connection, timeout: Duration) -> Result<(), StoreError> {
    const SWITCH: &str = "switch the journal to WAL";
    let start = Instant::now();
    let mode: String = loop {
        let read = |row: &rusqlite::Row<'_>| row.get(0);
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", read) {
            Err(error) if is_busy(&error) && start.elapsed() < timeout => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => break result.context(SWITCH)?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    // If the file system does not support shared memory, SQLite keeps the mode and returns it.
    let problem = format!("the journal mode stays `{mode}`: keep the file on a local disk");
    Err(StoreError::new(StoreErrorKind::Unsupported, SWITCH).with_source(problem))
}

/// Appends a suffix to the last component of a path.
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
    fn moved_file_and_retargeted_link_are_detected() {
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
