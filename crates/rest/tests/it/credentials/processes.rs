//! Several handles and processes on one file.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crm_chat_rest::{CredentialKind, CredentialStore, SqliteCredentials};
use rusqlite::Connection;

use super::files::{Place, assert_sound};
use super::subjects::{Said, add_token, add_webhook, block_on, grant, token, webhook};

#[test]
fn what_one_handle_does_counts_at_once_for_all() {
    let place = Place::new();
    let (one, other) = (place.create(), place.create());
    let (hook, key) = (add_webhook(&one, 1), add_token(&other, 1));
    for store in [&one, &other] {
        let said = webhook(store, 1, hook.secret.expose());
        assert_eq!(said, Said::Granted(grant(&hook)));
        assert_eq!(token(store, key.secret.expose()), Said::Granted(grant(&key)));
    }
    assert!(block_on(other.revoke(&hook.credential.id)).unwrap());
    assert!(block_on(one.revoke(&key.credential.id)).unwrap());
    for store in [&one, &other] {
        assert_eq!(webhook(store, 1, hook.secret.expose()), Said::Invalid);
        assert_eq!(token(store, key.secret.expose()), Said::Invalid);
    }
}

#[test]
fn a_check_does_not_wait_for_whoever_writes() {
    let place = Place::new();
    let store = place.create();
    let hook = add_webhook(&store, 1);
    let writer = Connection::open(place.file()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM credentials").unwrap();
    // Nor for a writer through the same handle, which waits for the other.
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            start.wait();
            add_webhook(&store, 2)
        });
        start.wait();
        // Long enough for it to wait by now; if not, less is tested.
        thread::sleep(Duration::from_millis(50));
        for _ in 0..10 {
            let said = webhook(&store, 1, hook.secret.expose());
            assert_eq!(said, Said::Granted(grant(&hook)));
        }
        writer.execute_batch("ROLLBACK").unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn a_new_file_opened_at_once_by_many_has_one_key() {
    for _ in 0..20 {
        let place = Place::new();
        let start = Barrier::new(8);
        let stores: Vec<SqliteCredentials> = thread::scope(|scope| {
            let open = || {
                start.wait();
                place.create()
            };
            let handles: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        let hook = add_webhook(&stores[0], 1);
        for store in &stores {
            let said = webhook(store, 1, hook.secret.expose());
            assert_eq!(said, Said::Granted(grant(&hook)));
        }
        assert_sound(&place.file());
    }
}

const FILE: &str = "CRM_CHAT_TEST_CREDENTIALS";
const EACH: usize = 20;

/// No law: what the other processes of the test below do. Prints what it issued and kept.
#[test]
fn process_that_issues_and_revokes() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = block_on(SqliteCredentials::open_or_create(file)).unwrap();
    for _ in 0..EACH {
        let (kept, gone) = (add_webhook(&store, 1), add_webhook(&store, 1));
        assert!(block_on(store.revoke(&gone.credential.id)).unwrap());
        assert_eq!(webhook(&store, 1, gone.secret.expose()), Said::Invalid);
        println!("kept {} {}", kept.credential.id, kept.secret.expose());
    }
}

#[test]
fn processes_that_issue_and_revoke_at_once_lose_nothing() {
    let place = Place::new();
    let name = "credentials::processes::process_that_issues_and_revokes";
    let children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([name, "--exact", "--nocapture", "--quiet"])
                .env(FILE, place.file())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut ids = BTreeSet::new();
    let store = place.create();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let output = String::from_utf8(output.stdout).unwrap();
        let kept: Vec<_> =
            output.lines().filter_map(|line| line.strip_prefix("kept ")?.split_once(' ')).collect();
        assert_eq!(kept.len(), EACH);
        for (id, secret) in kept {
            let Said::Granted(grant) = webhook(&store, 1, secret) else {
                panic!("{id} was lost");
            };
            assert_eq!(grant.credential.to_string(), id);
            ids.insert(grant.credential);
        }
    }
    let listed = block_on(store.list(CredentialKind::Webhook)).unwrap();
    let listed: BTreeSet<_> = listed.into_iter().map(|credential| credential.id).collect();
    assert_eq!((ids.len(), ids), (3 * EACH, listed));
    assert_sound(&place.file());
}
