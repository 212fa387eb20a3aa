//! Files: persistence, secrecy, and refusal of unsuitable files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crm_chat_credentials::{
    CredentialKind, CredentialStore, Credentials, CredentialsError, SqliteCredentials,
};
use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{
    Verification, add_token, add_webhook, block_on, granted, verify_token, verify_webhook,
};

/// A file of credentials in a temporary directory.
pub(crate) struct TempCredentials(TempDir);

impl TempCredentials {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("credentials.db")
    }

    pub(crate) fn create(&self) -> SqliteCredentials {
        block_on(SqliteCredentials::open_or_create(self.file())).unwrap()
    }

    fn open_error(&self) -> StoreError {
        block_on(SqliteCredentials::open_or_create(self.file())).unwrap_err()
    }

    fn execute(&self, sql: &str) {
        let connection = Connection::open(self.file()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Returns the files of the directory with their contents, sorted by path.
    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut contents: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), read(&path)))
            .collect();
        contents.sort();
        contents
    }
}

/// Reads a file in another process: closing it in this one would drop the locks that SQLite holds
/// on it.
fn read(path: &Path) -> Vec<u8> {
    let output = Command::new("cat").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn credentials_outlive_the_handle() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 2));
    let revoked = add_webhook(&store, 1);
    block_on(store.revoke(&revoked.credential.id)).unwrap();
    drop(store);
    for store in [temp.create(), block_on(SqliteCredentials::open(temp.file())).unwrap()] {
        let actual = verify_webhook(&store, 1, webhook.secret.expose());
        assert_eq!(actual, granted(&webhook));
        assert_eq!(verify_token(&store, token.secret.expose()), granted(&token));
        assert_eq!(verify_webhook(&store, 1, revoked.secret.expose()), Verification::Invalid);
    }
    // The number of the revoked one is not assigned again after the file was reopened.
    assert_eq!(add_webhook(&temp.create(), 1).credential.id, CredentialKind::Webhook.id(4));
}

#[test]
fn no_file_contains_a_secret() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let secrets: Vec<_> = (0..50)
        .flat_map(|_| [add_webhook(&store, 1).secret, add_token(&store, 1).secret])
        .collect();
    // Once with the journal, and once after everything was moved into the file.
    for files in [temp.contents(), {
        drop(store);
        temp.contents()
    }] {
        let all: Vec<u8> = files.into_iter().flat_map(|(_, content)| content).collect();
        let holds = |part: &[u8]| all.windows(part.len()).any(|window| window == part);
        assert!(holds(b"imopenlines"), "the search works");
        for secret in &secrets {
            let text = secret.expose();
            let bytes: Vec<u8> = (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect();
            assert!(!holds(&text.as_bytes()[..12]) && !holds(&bytes[..6]), "{text}");
        }
    }
}

#[test]
fn each_file_has_a_key_of_its_own() {
    let keys: Vec<[u8; 32]> = (0..3)
        .map(|_| {
            let temp = TempCredentials::new();
            drop(temp.create());
            let connection = Connection::open(temp.file()).unwrap();
            connection.query_row("SELECT key FROM key", [], |row| row.get(0)).unwrap()
        })
        .collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[cfg(unix)]
#[test]
fn new_file_is_accessible_to_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempCredentials::new();
    let store = temp.create();
    add_webhook(&store, 1);
    let content = temp.contents();
    assert_eq!(content.len(), 3, "the file and its journal");
    for (path, _) in content {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[test]
fn missing_file_is_created_only_on_request() {
    let temp = TempCredentials::new();
    let error = block_on(SqliteCredentials::open(temp.file())).unwrap_err();
    let expected = format!(
        "cannot open the credentials `{}`: unavailable: there is no such file",
        temp.file().display()
    );
    assert_eq!((error.kind(), error.report()), (StoreErrorKind::Unavailable, expected));
    assert_eq!(temp.contents(), []);
    drop(temp.create());
    block_on(SqliteCredentials::open(temp.file())).unwrap();
    fs::write(temp.file(), "").unwrap();
    let error = block_on(SqliteCredentials::open(temp.file())).unwrap_err();
    assert!(error.report().ends_with("the file is empty"), "{}", error.report());
    drop(temp.create());
    block_on(SqliteCredentials::open(temp.file())).unwrap();
}

#[test]
fn missing_directory_is_unavailable() {
    let temp = TempCredentials::new();
    for path in [temp.file().join("x.db"), temp.0.path().to_owned()] {
        let error = block_on(SqliteCredentials::open_or_create(&path)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", error.report());
    }
    assert_eq!(temp.contents(), []);
}

/// Checks that a file is refused, and that its directory is not modified.
#[track_caller]
fn assert_refused(temp: &TempCredentials, kind: StoreErrorKind, because: &str) {
    let before = temp.contents();
    let error = temp.open_error();
    let expected =
        format!("cannot open the credentials `{}`: {kind}: {because}", temp.file().display());
    assert_eq!((error.kind(), error.report()), (kind, expected));
    assert!(temp.contents() == before, "the directory changed");
}

const FOREIGN: &str = "it is a SQLite database, but holds no credentials of this program";

#[test]
fn file_without_credentials_is_refused_and_not_modified() {
    let damaged = "not a SQLite database, or its header is damaged";
    for content in ["x", "{\"users\": []}", &"SQLite".repeat(100)] {
        let temp = TempCredentials::new();
        fs::write(temp.file(), content).unwrap();
        assert_refused(&temp, StoreErrorKind::Corrupt, damaged);
    }
    for journal in ["DELETE", "WAL"] {
        let temp = TempCredentials::new();
        temp.execute(&format!("PRAGMA journal_mode = {journal}; CREATE TABLE t (x)"));
        assert_refused(&temp, StoreErrorKind::Unsupported, FOREIGN);
    }
}

#[test]
fn store_and_credentials_are_not_interchangeable() {
    let temp = TempCredentials::new();
    drop(block_on(crm_chat_sqlite::Sqlite::open(temp.file())).unwrap());
    assert_refused(&temp, StoreErrorKind::Unsupported, FOREIGN);

    let temp = TempCredentials::new();
    drop(temp.create());
    let before = temp.contents();
    let error = block_on(crm_chat_sqlite::Sqlite::open(temp.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{}", error.report());
    assert!(temp.contents() == before);
}

#[test]
fn file_of_a_newer_version_is_refused_and_not_modified() {
    let temp = TempCredentials::new();
    drop(temp.create());
    let because = "its schema has version 99, and this program knows up to 1: use a newer program";
    let connection = Connection::open(temp.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    // At first, only the journal contains the new version.
    let error = temp.open_error();
    assert!(error.report().ends_with(because), "{}", error.report());
    drop(connection);
    assert_refused(&temp, StoreErrorKind::Unsupported, because);
}

#[test]
fn invalid_value_is_corrupt_and_names_its_column() {
    for (damage, expected) in [
        ("UPDATE credentials SET user = 0", "table `credentials`, key 1: corrupt: column `user`"),
        ("UPDATE credentials SET kind = 'hook'", "column `kind`"),
        ("UPDATE credentials SET kind = 'webhook'", "column `expires_at`"),
        ("UPDATE credentials SET scopes = '[1]'", "column `scopes`"),
        ("UPDATE credentials SET created_at = 9223372036854775807", "column `created_at`"),
        ("UPDATE credentials SET expires_at = -9223372036854775807", "column `expires_at`"),
        ("UPDATE credentials SET id = -1", "column `id`"),
        ("UPDATE credentials SET tag = x'00'", "corrupt"),
    ] {
        let temp = TempCredentials::new();
        let store = temp.create();
        let token = add_token(&store, 1);
        temp.execute(&format!("PRAGMA ignore_check_constraints = ON; {damage}"));
        let actual = block_on(Credentials::token(&store, token.secret.expose()));
        let Err(CredentialsError::Store(error)) = actual else {
            panic!("{damage}: {actual:?}");
        };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(error.report().contains(expected), "{}", error.report());
    }
}

#[test]
fn row_with_another_tag_grants_nothing() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let webhook = add_webhook(&store, 1);
    let connection = Connection::open(temp.file()).unwrap();
    let read = "SELECT tag FROM credentials";
    let tag: [u8; 32] = connection.query_row(read, [], |row| row.get(0)).unwrap();
    let verify_with = |tag: [u8; 32]| {
        let write = "UPDATE credentials SET tag = ?1";
        connection.execute(write, [tag]).unwrap();
        verify_webhook(&store, 1, webhook.secret.expose())
    };
    for at in [0, 15, 16, 31] {
        let mut other = tag;
        other[at] ^= 1;
        assert_eq!(verify_with(other), Verification::Invalid, "byte {at}");
    }
    assert_eq!(verify_with([0; 32]), Verification::Invalid);
    assert_eq!(verify_with(tag), granted(&webhook));
}

#[test]
fn file_without_a_key_is_corrupt_and_gets_no_new_key() {
    let temp = TempCredentials::new();
    drop(temp.create());
    temp.execute("DELETE FROM key");
    let error = temp.open_error();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.report().ends_with("the row is missing"), "{}", error.report());
    temp.open_error();
}

/// Checks the integrity of a file with SQLite.
pub(crate) fn assert_sound(file: &Path) {
    let connection = Connection::open(file).unwrap();
    let integrity: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}
