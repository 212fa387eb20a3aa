//! Files that are replaced or migrated while they are open, permissions and backups.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crm_chat_credentials::{
    CredentialKind, CredentialStore, Credentials, CredentialsError, Issued, SqliteCredentials,
};
use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::Connection;

use crate::files::{TempCredentials, assert_sound};
use crate::support::{
    HOUR, Verification, add_token, add_webhook, block_on, granted, user, verify_token,
    verify_webhook,
};

/// Calls every method of a store, and returns their errors.
fn failures(store: &SqliteCredentials, webhook: &Issued, backup: &Path) -> Vec<StoreError> {
    let store_error = |answer| match answer {
        Err(CredentialsError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    let secret = webhook.secret.expose();
    vec![
        store_error(block_on(store.webhook(user(1), secret))),
        store_error(block_on(store.webhook(user(1), "wrong"))),
        store_error(block_on(store.token(secret))),
        block_on(store.add_webhook(user(1), ["x"].into_iter().collect())).unwrap_err(),
        block_on(store.add_token(user(1), ["x"].into_iter().collect(), HOUR)).unwrap_err(),
        block_on(store.list(CredentialKind::Webhook)).unwrap_err(),
        block_on(store.revoke(&webhook.credential.id)).unwrap_err(),
        block_on(store.backup(backup)).unwrap_err(),
    ]
}

#[track_caller]
fn assert_all_fail(
    store: &SqliteCredentials,
    webhook: &Issued,
    backup: &Path,
    kind: StoreErrorKind,
    because: &str,
) {
    for error in failures(store, webhook, backup) {
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.report().ends_with(because), "{}", error.report());
    }
    assert!(!backup.exists());
}

const REPLACED: &str = "the file was replaced or deleted while it was open: restart the program";

#[test]
fn replaced_credentials_file_grants_nothing() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let webhook = add_webhook(&store, 1);
    let backup = temp.file().with_extension("backup");
    block_on(store.backup(&backup)).unwrap();
    block_on(store.revoke(&webhook.credential.id)).unwrap();
    let later = add_webhook(&store, 1);
    // Restore the backup while the program is running.
    for suffix in ["", "-wal", "-shm"] {
        let mut path = temp.file().into_os_string();
        path.push(suffix);
        fs::remove_file(path).unwrap();
    }
    let another = temp.file().with_extension("another");
    let unavailable = StoreErrorKind::Unavailable;
    assert_all_fail(&store, &later, &another, unavailable, REPLACED);
    fs::rename(&backup, temp.file()).unwrap();
    assert_all_fail(&store, &later, &another, unavailable, REPLACED);

    let restarted = temp.create();
    let actual = verify_webhook(&restarted, 1, webhook.secret.expose());
    assert_eq!(actual, granted(&webhook));
    assert_eq!(verify_webhook(&restarted, 1, later.secret.expose()), Verification::Invalid);
}

#[test]
fn migration_by_a_newer_version_makes_verification_fail() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let webhook = add_webhook(&store, 1);
    let newer = Connection::open(temp.file()).unwrap();
    newer.execute_batch("ALTER TABLE credentials RENAME TO keys; PRAGMA user_version = 2").unwrap();
    let because = "its schema has version 2, and this program knows up to 1: use a newer program";
    let backup = temp.file().with_extension("backup");
    assert_all_fail(&store, &webhook, &backup, StoreErrorKind::Unsupported, because);
}

#[test]
fn file_accessible_to_group_or_others_is_refused() {
    let temp = TempCredentials::new();
    let webhook = add_webhook(&temp.create(), 1);
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
        fs::set_permissions(temp.file(), Permissions::from_mode(mode)).unwrap();
        let opened = block_on(SqliteCredentials::open(temp.file()));
        let Err(error) = opened else {
            assert!(!refused, "{mode:o}");
            continue;
        };
        assert!(refused, "{mode:o}: {}", error.report());
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let file = temp.file().display().to_string();
        let expected = format!(
            "cannot open the credentials `{file}`: unavailable: the group or others can read or \
             write it (mode {mode:04o}): run `chmod 600 {file}`"
        );
        assert_eq!(error.report(), expected);
        assert_eq!(temp.file().metadata().unwrap().mode() & 0o777, mode);
    }
    // An empty file is refused too, before anything is written to it.
    let empty = temp.file().with_extension("empty");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o644)).unwrap();
    assert!(block_on(SqliteCredentials::open_or_create(&empty)).is_err());
    assert_eq!(empty.metadata().unwrap().len(), 0);

    let actual = verify_webhook(&temp.create(), 1, webhook.secret.expose());
    assert_eq!(actual, granted(&webhook));
}

#[test]
fn backup_holds_every_credential_and_only_its_owner_can_read_it() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 2));
    let revoked = add_webhook(&store, 1);
    block_on(store.revoke(&revoked.credential.id)).unwrap();
    let backup = temp.file().with_extension("backup");
    block_on(store.backup(&backup)).unwrap();
    assert_eq!(backup.metadata().unwrap().mode() & 0o777, 0o600);
    let expected = format!(
        "cannot back up the credentials to `{}`: unavailable: the file exists already",
        backup.display()
    );
    let error = block_on(store.backup(&backup)).unwrap_err();
    assert_eq!(error.report(), expected);

    let copy = block_on(SqliteCredentials::open(&backup)).unwrap();
    let actual = verify_webhook(&copy, 1, webhook.secret.expose());
    assert_eq!(actual, granted(&webhook));
    assert_eq!(verify_token(&copy, token.secret.expose()), granted(&token));
    assert_eq!(verify_webhook(&copy, 1, revoked.secret.expose()), Verification::Invalid);
    // The number of the revoked one is not assigned again.
    let next = add_webhook(&copy, 1).credential.id;
    assert_eq!(next, CredentialKind::Webhook.id(4));
    drop(copy);
    assert_sound(&backup);
}

/// Returns the number of locks that this process holds on a file.
#[cfg(target_os = "linux")]
fn lock_count(file: &Path) -> usize {
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
    let temp = TempCredentials::new();
    let first = temp.create();
    assert_eq!(lock_count(&temp.file()), 1);
    drop(temp.create());
    assert_eq!(lock_count(&temp.file()), 1);
    // A store refuses the file. That must not drop the locks either.
    let refused = block_on(crm_chat_sqlite::Sqlite::open(temp.file()));
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unsupported);
    assert_eq!(lock_count(&temp.file()), 1);
    drop(first);
    assert_eq!(lock_count(&temp.file()), 0);
}
