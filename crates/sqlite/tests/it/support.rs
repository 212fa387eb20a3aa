//! Worlds, files and processes for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crm_chat_domain::{Entity, LogEntry, Removal, Snapshot, StoreError, UserId};
use crm_chat_sqlite::Sqlite;
pub(crate) use futures_lite::future::block_on;
use tempfile::TempDir;

/// The file of a store in a temporary directory.
pub(crate) struct TempStore {
    directory: TempDir,
}

impl TempStore {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    pub(crate) fn open(&self) -> Sqlite {
        block_on(Sqlite::open(self.file())).unwrap()
    }

    /// Creates the file of a store that contains a snapshot.
    pub(crate) fn containing(snapshot: &Snapshot) -> Self {
        let temp = Self::new();
        block_on(temp.open().load(snapshot.clone())).unwrap();
        temp
    }

    /// Returns the files of the directory with their contents, sorted by path.
    pub(crate) fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.directory()).unwrap();
        let mut contents: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), read(&path)))
            .collect();
        contents.sort();
        contents
    }
}

/// Reads a file in another process: closing it in this one would drop the locks that SQLite holds
/// on it.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let output = Command::new("cat").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Copies a file in another process, for the same reason.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Returns `false` if a command that a test needs does not work, so that the test is skipped.
///
/// # Panics
/// If it does not work and `CI` is `true`.
pub(crate) fn works(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let works = output.is_ok_and(|output| output.status.success());
    let problem = format!("`{}` is not installed or does not work", command[0]);
    assert!(works || std::env::var("CI").as_deref() != Ok("true"), "{problem}");
    if !works {
        eprintln!("skipped: {problem}");
    }
    works
}

pub(crate) fn user(id: i64) -> UserId {
    id.try_into().unwrap()
}

pub(crate) fn deal() -> Entity {
    "deal:288".parse().unwrap()
}

/// Returns a request to remove a user from the last chat of the deal.
pub(crate) fn removal(id: i64) -> Removal {
    Removal::new(deal(), user(id))
}

/// Returns a world in which actor 1 may remove users from chat 8773 of deal 288. Its members are
/// the active users 2 to `members` + 1, and user 2 owns it.
pub(crate) fn world(members: i64) -> Snapshot {
    let ids: Vec<i64> = (2..2 + members).collect();
    let users: Vec<_> =
        ids.iter().map(|id| serde_json::json!({"id": id, "active": true})).collect();
    serde_json::from_value(serde_json::json!({
        "users": users,
        "chats": [{"id": 8773, "owner": 2, "members": ids}],
        "links": [{"entity": {"type": "deal", "id": 288}, "chat": 8773}],
        "access": [{"user": 1, "entity": {"type": "deal", "id": 288}}],
        "removers": [{"user": 1, "chat": 8773}],
    }))
    .unwrap()
}

/// Reads the whole log page by page.
pub(crate) async fn log(store: &Sqlite) -> Result<Vec<LogEntry>, StoreError> {
    let mut entries: Vec<LogEntry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.sequence);
        let page = store.log(after, 7).await?;
        if page.is_empty() {
            return Ok(entries);
        }
        entries.extend(page);
    }
}

/// Checks the integrity of a file with SQLite.
pub(crate) fn assert_sound(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let integrity: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let broken_references =
        connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!broken_references);
}

/// A process that runs one test of this binary, with an environment variable by which the test
/// recognises it.
pub(crate) struct Child(Command);

impl Child {
    pub(crate) fn running(test: &str, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        Self::of(&std::env::current_exe().unwrap(), test, variable, value)
    }

    pub(crate) fn of(
        binary: &Path,
        test: &str,
        variable: &str,
        value: impl AsRef<std::ffi::OsStr>,
    ) -> Self {
        let mut command = Command::new(binary);
        command.args([test, "--exact", "--nocapture", "--quiet"]).env(variable, value);
        Self(command)
    }

    pub(crate) fn command(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn start(mut self) -> std::process::Child {
        self.0.spawn().unwrap()
    }

    pub(crate) fn run(mut self) -> ExitStatus {
        self.0.status().unwrap()
    }
}
