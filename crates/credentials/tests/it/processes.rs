//! Several handles and processes on one file.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crm_chat_credentials::{CredentialKind, CredentialStore, SqliteCredentials};
use rusqlite::Connection;

use crate::files::{TempCredentials, assert_sound};
use crate::support::{
    Verification, add_token, add_webhook, block_on, granted, verify_token, verify_webhook,
};

#[test]
fn change_through_one_handle_is_visible_to_all() {
    let temp = TempCredentials::new();
    let (one, other) = (temp.create(), temp.create());
    let (webhook, token) = (add_webhook(&one, 1), add_token(&other, 1));
    for store in [&one, &other] {
        let actual = verify_webhook(store, 1, webhook.secret.expose());
        assert_eq!(actual, granted(&webhook));
        assert_eq!(verify_token(store, token.secret.expose()), granted(&token));
    }
    assert!(block_on(other.revoke(&webhook.credential.id)).unwrap());
    assert!(block_on(one.revoke(&token.credential.id)).unwrap());
    for store in [&one, &other] {
        assert_eq!(verify_webhook(store, 1, webhook.secret.expose()), Verification::Invalid);
        assert_eq!(verify_token(store, token.secret.expose()), Verification::Invalid);
    }
}

#[test]
fn verification_does_not_wait_for_writers() {
    let temp = TempCredentials::new();
    let store = temp.create();
    let webhook = add_webhook(&store, 1);
    let writer = Connection::open(temp.file()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM credentials").unwrap();
    // It does not wait for a write through the same handle either, which waits for the other
    // writer.
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            start.wait();
            add_webhook(&store, 2)
        });
        start.wait();
        // By now the write is usually waiting. If it is not, the test checks less.
        thread::sleep(Duration::from_millis(50));
        for _ in 0..10 {
            let actual = verify_webhook(&store, 1, webhook.secret.expose());
            assert_eq!(actual, granted(&webhook));
        }
        writer.execute_batch("ROLLBACK").unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn new_file_opened_by_many_at_once_has_one_key() {
    for _ in 0..20 {
        let temp = TempCredentials::new();
        let start = Barrier::new(8);
        let stores: Vec<SqliteCredentials> = thread::scope(|scope| {
            let open = || {
                start.wait();
                temp.create()
            };
            let handles: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        let webhook = add_webhook(&stores[0], 1);
        for store in &stores {
            let actual = verify_webhook(store, 1, webhook.secret.expose());
            assert_eq!(actual, granted(&webhook));
        }
        assert_sound(&temp.file());
    }
}

const FILE: &str = "CRM_CHAT_TEST_CREDENTIALS";
const EACH: usize = 20;

/// Not a test by itself: runs in the processes of the next test. Prints the credentials that it
/// issued and did not revoke.
#[test]
fn process_that_issues_and_revokes() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = block_on(SqliteCredentials::open_or_create(file)).unwrap();
    for _ in 0..EACH {
        let (kept, revoked) = (add_webhook(&store, 1), add_webhook(&store, 1));
        assert!(block_on(store.revoke(&revoked.credential.id)).unwrap());
        assert_eq!(verify_webhook(&store, 1, revoked.secret.expose()), Verification::Invalid);
        println!("kept {} {}", kept.credential.id, kept.secret.expose());
    }
}

#[test]
fn concurrent_processes_lose_no_credential() {
    let temp = TempCredentials::new();
    let name = "processes::process_that_issues_and_revokes";
    let children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([name, "--exact", "--nocapture", "--quiet"])
                .env(FILE, temp.file())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut ids = BTreeSet::new();
    let store = temp.create();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let output = String::from_utf8(output.stdout).unwrap();
        let kept: Vec<_> =
            output.lines().filter_map(|line| line.strip_prefix("kept ")?.split_once(' ')).collect();
        assert_eq!(kept.len(), EACH);
        for (id, secret) in kept {
            let Verification::Granted(grant) = verify_webhook(&store, 1, secret) else {
                panic!("{id} was lost");
            };
            assert_eq!(grant.credential.to_string(), id);
            ids.insert(grant.credential);
        }
    }
    let listed = block_on(store.list(CredentialKind::Webhook)).unwrap();
    let listed: BTreeSet<_> = listed.into_iter().map(|credential| credential.id).collect();
    assert_eq!((ids.len(), ids), (3 * EACH, listed));
    assert_sound(&temp.file());
}
