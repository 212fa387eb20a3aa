//! Files that change hands while they are open, permissions and backups.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_rest::{
    CredentialKind, CredentialStore, Credentials, CredentialsError, Issued, SqliteCredentials,
};
use rusqlite::Connection;

use super::files::{Place, assert_sound};
use super::subjects::{HOUR, Said, add_token, add_webhook, block_on, grant, token, user, webhook};

/// Asks a store for everything that it does, and returns how each failed.
fn failures(store: &SqliteCredentials, hook: &Issued, backup: &Path) -> Vec<StoreError> {
    let store_error = |answer| match answer {
        Err(CredentialsError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    let secret = hook.secret.expose();
    vec![
        store_error(block_on(store.webhook(user(1), secret))),
        store_error(block_on(store.webhook(user(1), "wrong"))),
        store_error(block_on(store.token(secret))),
        block_on(store.add_webhook(user(1), ["x"].into_iter().collect())).unwrap_err(),
        block_on(store.add_token(user(1), ["x"].into_iter().collect(), HOUR)).unwrap_err(),
        block_on(store.list(CredentialKind::Webhook)).unwrap_err(),
        block_on(store.revoke(&hook.credential.id)).unwrap_err(),
        block_on(store.backup(backup)).unwrap_err(),
    ]
}

#[track_caller]
fn assert_all_fail(
    store: &SqliteCredentials,
    hook: &Issued,
    backup: &Path,
    kind: StoreErrorKind,
    because: &str,
) {
    for error in failures(store, hook, backup) {
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.report().ends_with(because), "{}", error.report());
    }
    assert!(!backup.exists());
}

const REPLACED: &str = "the file was replaced or deleted while it was open: restart the program";

#[test]
fn replaced_credentials_file_grants_nothing() {
    let place = Place::new();
    let store = place.create();
    let hook = add_webhook(&store, 1);
    let backup = place.file().with_extension("backup");
    block_on(store.backup(&backup)).unwrap();
    block_on(store.revoke(&hook.credential.id)).unwrap();
    let kept = add_webhook(&store, 1);
    // As an operator restores it, but under a running program.
    for suffix in ["", "-wal", "-shm"] {
        let mut path = place.file().into_os_string();
        path.push(suffix);
        fs::remove_file(path).unwrap();
    }
    let another = place.file().with_extension("another");
    let unavailable = StoreErrorKind::Unavailable;
    assert_all_fail(&store, &kept, &another, unavailable, REPLACED);
    fs::rename(&backup, place.file()).unwrap();
    assert_all_fail(&store, &kept, &another, unavailable, REPLACED);

    let restarted = place.create();
    let said = webhook(&restarted, 1, hook.secret.expose());
    assert_eq!(said, Said::Granted(grant(&hook)));
    assert_eq!(webhook(&restarted, 1, kept.secret.expose()), Said::Invalid);
}

#[test]
fn migration_by_a_newer_version_ends_all_checks() {
    let place = Place::new();
    let store = place.create();
    let hook = add_webhook(&store, 1);
    let newer = Connection::open(place.file()).unwrap();
    newer.execute_batch("ALTER TABLE credentials RENAME TO keys; PRAGMA user_version = 2").unwrap();
    let because = "its schema has version 2, and this program knows up to 1: use a newer program";
    let backup = place.file().with_extension("backup");
    assert_all_fail(&store, &hook, &backup, StoreErrorKind::Unsupported, because);
}

#[test]
fn credentials_that_others_can_read_or_write_are_refused() {
    let place = Place::new();
    let hook = add_webhook(&place.create(), 1);
    for (mode, refused) in [
        (0o644, true),
        (0o640, true),
        (0o620, true),
        (0o602, true),
        (0o604, true),
        (0o666, true),
        (0o700, false),
        (0o600, false),
    ] {
        fs::set_permissions(place.file(), Permissions::from_mode(mode)).unwrap();
        let opened = block_on(SqliteCredentials::open(place.file()));
        let Err(error) = opened else {
            assert!(!refused, "{mode:o}");
            continue;
        };
        assert!(refused, "{mode:o}: {}", error.report());
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let file = place.file().display().to_string();
        let expected = format!(
            "cannot open the credentials `{file}`: unavailable: others than its owner can read or \
             write it (mode {mode:04o}): run `chmod 600 {file}`"
        );
        assert_eq!(error.report(), expected);
        assert_eq!(place.file().metadata().unwrap().mode() & 0o777, mode);
    }
    // An empty file too, before anything is put into it.
    let empty = place.file().with_extension("empty");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o644)).unwrap();
    assert!(block_on(SqliteCredentials::open_or_create(&empty)).is_err());
    assert_eq!(empty.metadata().unwrap().len(), 0);

    let said = webhook(&place.create(), 1, hook.secret.expose());
    assert_eq!(said, Said::Granted(grant(&hook)));
}

#[test]
fn backup_holds_every_credential_and_only_its_owner_can_read_it() {
    let place = Place::new();
    let store = place.create();
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 2));
    let revoked = add_webhook(&store, 1);
    block_on(store.revoke(&revoked.credential.id)).unwrap();
    let backup = place.file().with_extension("backup");
    block_on(store.backup(&backup)).unwrap();
    assert_eq!(backup.metadata().unwrap().mode() & 0o777, 0o600);
    let expected = format!(
        "cannot back up the credentials to `{}`: unavailable: the file exists already",
        backup.display()
    );
    let error = block_on(store.backup(&backup)).unwrap_err();
    assert_eq!(error.report(), expected);

    let copy = block_on(SqliteCredentials::open(&backup)).unwrap();
    let said = webhook(&copy, 1, hook.secret.expose());
    assert_eq!(said, Said::Granted(grant(&hook)));
    assert_eq!(token(&copy, key.secret.expose()), Said::Granted(grant(&key)));
    assert_eq!(webhook(&copy, 1, revoked.secret.expose()), Said::Invalid);
    // The number of the one that was revoked is not given again.
    let next = add_webhook(&copy, 1).credential.id;
    assert_eq!(next, CredentialKind::Webhook.id(4));
    drop(copy);
    assert_sound(&backup);
}

/// The locks that this process holds on a file.
#[cfg(target_os = "linux")]
fn locks(file: &Path) -> usize {
    let process = std::process::id().to_string();
    let inode = format!(":{}", file.metadata().unwrap().ino());
    fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words[4] == process && words[5].ends_with(&inode))
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn opening_a_file_again_keeps_the_locks_of_the_first_handle() {
    let place = Place::new();
    let first = place.create();
    assert_eq!(locks(&place.file()), 1);
    drop(place.create());
    assert_eq!(locks(&place.file()), 1);
    // Nor does one of another kind, which refuses the file.
    let refused = block_on(crm_chat_sqlite::Sqlite::open(place.file()));
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unsupported);
    assert_eq!(locks(&place.file()), 1);
    drop(first);
    assert_eq!(locks(&place.file()), 0);
}
