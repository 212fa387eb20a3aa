//! Files: what is kept, what is refused and left as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_rest::{CredentialKind, CredentialStore, SqliteCredentials};
use rusqlite::Connection;
use tempfile::TempDir;

use super::subjects::{Said, add_token, add_webhook, block_on, grant, token, webhook};

/// A file in a folder of its own, which goes with it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("credentials.db")
    }

    pub(crate) fn create(&self) -> SqliteCredentials {
        block_on(SqliteCredentials::open_or_create(self.file())).unwrap()
    }

    fn refused(&self) -> StoreError {
        block_on(SqliteCredentials::open_or_create(self.file())).unwrap_err()
    }

    fn sql(&self, sql: &str) {
        let connection = Connection::open(self.file()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Every file of the folder with its content, by name.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut content: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), read(&path)))
            .collect();
        content.sort();
        content
    }
}

/// Reads a file in another process: to close it in this one would drop the locks that SQLite holds on it.
fn read(path: &Path) -> Vec<u8> {
    let output = Command::new("cat").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn what_was_issued_outlives_the_handle() {
    let place = Place::new();
    let store = place.create();
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 2));
    let gone = add_webhook(&store, 1);
    block_on(store.revoke(&gone.credential.id)).unwrap();
    drop(store);
    for store in [place.create(), block_on(SqliteCredentials::open(place.file())).unwrap()] {
        let said = webhook(&store, 1, hook.secret.expose());
        assert_eq!(said, Said::Granted(grant(&hook)));
        assert_eq!(token(&store, key.secret.expose()), Said::Granted(grant(&key)));
        assert_eq!(webhook(&store, 1, gone.secret.expose()), Said::Invalid);
    }
    // Not even by who opens the file anew.
    assert_eq!(add_webhook(&place.create(), 1).credential.id, CredentialKind::Webhook.id(4));
}

#[test]
fn no_file_holds_a_secret() {
    let place = Place::new();
    let store = place.create();
    let secrets: Vec<_> = (0..50)
        .flat_map(|_| [add_webhook(&store, 1).secret, add_token(&store, 1).secret])
        .collect();
    // Once with the journal beside it, and once when all is in one file.
    for files in [place.content(), {
        drop(store);
        place.content()
    }] {
        let all: Vec<u8> = files.into_iter().flat_map(|(_, content)| content).collect();
        let holds = |part: &[u8]| all.windows(part.len()).any(|window| window == part);
        assert!(holds(b"imopenlines"), "the search finds what is there");
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
fn equal_secrets_are_kept_differently_in_different_files() {
    let keys: Vec<[u8; 32]> = (0..3)
        .map(|_| {
            let place = Place::new();
            drop(place.create());
            let connection = Connection::open(place.file()).unwrap();
            connection.query_row("SELECT key FROM key", [], |row| row.get(0)).unwrap()
        })
        .collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_file_that_is_created() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let store = place.create();
    add_webhook(&store, 1);
    let content = place.content();
    assert_eq!(content.len(), 3, "the file and its journal");
    for (path, _) in content {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[test]
fn a_missing_file_is_created_only_if_asked() {
    let place = Place::new();
    let error = block_on(SqliteCredentials::open(place.file())).unwrap_err();
    let expected = format!(
        "cannot open the credentials `{}`: unavailable: there is no such file",
        place.file().display()
    );
    assert_eq!((error.kind(), error.report()), (StoreErrorKind::Unavailable, expected));
    assert_eq!(place.content(), []);
    drop(place.create());
    block_on(SqliteCredentials::open(place.file())).unwrap();
    fs::write(place.file(), "").unwrap();
    let error = block_on(SqliteCredentials::open(place.file())).unwrap_err();
    assert!(error.report().ends_with("the file is empty"), "{}", error.report());
    drop(place.create());
    block_on(SqliteCredentials::open(place.file())).unwrap();
}

#[test]
fn a_folder_that_is_missing_is_unavailable() {
    let place = Place::new();
    for path in [place.file().join("x.db"), place.0.path().to_owned()] {
        let error = block_on(SqliteCredentials::open_or_create(&path)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", error.report());
    }
    assert_eq!(place.content(), []);
}

/// Opens a file that must be refused, and checks that its folder is as it was.
#[track_caller]
fn check_refused(place: &Place, kind: StoreErrorKind, because: &str) {
    let before = place.content();
    let error = place.refused();
    let expected =
        format!("cannot open the credentials `{}`: {kind}: {because}", place.file().display());
    assert_eq!((error.kind(), error.report()), (kind, expected));
    assert!(place.content() == before, "the folder changed");
}

const FOREIGN: &str = "it is a SQLite database, but holds no credentials of this program";

#[test]
fn what_holds_no_credentials_is_refused_and_left_as_it_is() {
    let damaged = "not a SQLite database, or its header is damaged";
    for content in ["x", "{\"users\": []}", &"SQLite".repeat(100)] {
        let place = Place::new();
        fs::write(place.file(), content).unwrap();
        check_refused(&place, StoreErrorKind::Corrupt, damaged);
    }
    for journal in ["DELETE", "WAL"] {
        let place = Place::new();
        place.sql(&format!("PRAGMA journal_mode = {journal}; CREATE TABLE t (x)"));
        check_refused(&place, StoreErrorKind::Unsupported, FOREIGN);
    }
}

#[test]
fn a_store_of_chats_is_no_file_of_credentials_nor_the_other_way_round() {
    let place = Place::new();
    drop(block_on(crm_chat_sqlite::Sqlite::open(place.file())).unwrap());
    check_refused(&place, StoreErrorKind::Unsupported, FOREIGN);

    let place = Place::new();
    drop(place.create());
    let before = place.content();
    let error = block_on(crm_chat_sqlite::Sqlite::open(place.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{}", error.report());
    assert!(place.content() == before);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(place.create());
    let because = "its schema has version 99, and this program knows up to 1: use a newer program";
    let connection = Connection::open(place.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    // Known to the journal alone at first.
    let error = place.refused();
    assert!(error.report().ends_with(because), "{}", error.report());
    drop(connection);
    check_refused(&place, StoreErrorKind::Unsupported, because);
}

#[test]
fn what_cannot_be_read_is_corrupt_and_named() {
    for (damage, told) in [
        ("UPDATE credentials SET user = 0", "table `credentials`, key 1: corrupt: column `user`"),
        ("UPDATE credentials SET kind = 'hook'", "column `kind`"),
        ("UPDATE credentials SET kind = 'webhook'", "column `expires_at`"),
        ("UPDATE credentials SET scopes = '[1]'", "column `scopes`"),
        ("UPDATE credentials SET created_at = 9223372036854775807", "column `created_at`"),
        ("UPDATE credentials SET expires_at = -9223372036854775807", "column `expires_at`"),
        ("UPDATE credentials SET id = -1", "column `id`"),
        ("UPDATE credentials SET proof = x'00'", "corrupt"),
    ] {
        let place = Place::new();
        let store = place.create();
        let key = add_token(&store, 1);
        place.sql(&format!("PRAGMA ignore_check_constraints = ON; {damage}"));
        let checked = block_on(crm_chat_rest::Credentials::token(&store, key.secret.expose()));
        let Err(crm_chat_rest::CredentialsError::Store(error)) = checked else {
            panic!("{damage}: {checked:?}");
        };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(error.report().contains(told), "{}", error.report());
    }
}

#[test]
fn a_row_that_is_found_but_does_not_match_grants_nothing() {
    let place = Place::new();
    let store = place.create();
    let hook = add_webhook(&store, 1);
    let connection = Connection::open(place.file()).unwrap();
    let read = "SELECT proof FROM credentials";
    let proof: [u8; 32] = connection.query_row(read, [], |row| row.get(0)).unwrap();
    let said_with = |proof: [u8; 32]| {
        let write = "UPDATE credentials SET proof = ?1";
        connection.execute(write, [proof]).unwrap();
        webhook(&store, 1, hook.secret.expose())
    };
    for at in [0, 15, 16, 31] {
        let mut other = proof;
        other[at] ^= 1;
        assert_eq!(said_with(other), Said::Invalid, "byte {at}");
    }
    assert_eq!(said_with([0; 32]), Said::Invalid);
    assert_eq!(said_with(proof), Said::Granted(grant(&hook)));
}

#[test]
fn a_file_without_a_key_is_corrupt_and_gets_no_other() {
    let place = Place::new();
    drop(place.create());
    place.sql("DELETE FROM key");
    let error = place.refused();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.report().ends_with("there is none"), "{}", error.report());
    place.refused();
}

/// Checks what SQLite itself can tell of a file.
pub(crate) fn assert_sound(file: &Path) {
    let connection = Connection::open(file).unwrap();
    let integrity: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}
