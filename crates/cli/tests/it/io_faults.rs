//! The n-th system call on a database fails: the program must not claim what is not there, nor deny
//! what is.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crm_chat_domain::Snapshot;
use crm_chat_rest::{CredentialKind, CredentialStore, Credentials, SqliteCredentials};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::place::{Place, Ran, WORLD};

/// Each is failed at its n-th call, from the first to the last.
const SYSTEM_CALLS: [&str; 5] = ["fsync", "fdatasync", "pwrite64", "ftruncate", "pread64"];
const LAST: usize = 12;
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];

const STORE: &str = "crm-chat.db";
const CREDENTIALS: &str = "crm-chat-credentials.db";

/// The state of a database after a command that was to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Unchanged,
    Changed,
}

/// A command that changes a database.
struct Change {
    file: &'static str,
    command: &'static [&'static str],
    prepare: fn() -> Place,
    after: fn(&Place, &Ran) -> After,
}

#[test]
fn removal_whose_system_calls_fail_is_answered_truly() {
    check(&Change {
        file: STORE,
        command: &["remove", "--actor", "1", "--entity", "deal:288", "--user", "12"],
        prepare: || Place::holding(WORLD),
        after: |place, _| {
            let dump = dump(&place.path(STORE));
            let mut expected: Snapshot = serde_json::from_str(WORLD).unwrap();
            expected.sort();
            if dump == expected {
                return After::Unchanged;
            }
            let user = 12.try_into().unwrap();
            let chat = 8773.try_into().unwrap();
            assert_eq!(dump.removals.len(), 1);
            assert_eq!((dump.removals[0].user, dump.removals[0].chat), (user, chat));
            for left in expected.chats.iter_mut().filter(|left| left.id == chat) {
                left.members.retain(|member| *member != user);
            }
            expected.removals.clone_from(&dump.removals);
            assert_eq!(dump, expected, "half of a removal");
            After::Changed
        },
    });
}

#[test]
fn import_whose_system_calls_fail_is_answered_truly() {
    check(&Change {
        file: STORE,
        command: &["import", "world.json"],
        prepare: || {
            let place = Place::holding("{}");
            place.write("world.json", WORLD);
            place
        },
        after: |place, _| {
            let dump = dump(&place.path(STORE));
            if dump == Snapshot::default() {
                return After::Unchanged;
            }
            let mut expected: Snapshot = serde_json::from_str(WORLD).unwrap();
            expected.sort();
            assert_eq!(dump, expected, "half of an import");
            After::Changed
        },
    });
}

#[test]
fn issue_of_a_credential_whose_system_calls_fail_is_answered_truly() {
    check(&Change {
        file: CREDENTIALS,
        command: &["webhook", "add", "--user", "1"],
        prepare: || {
            let place = Place::holding(WORLD);
            place.run("webhook add --user 2").succeeded();
            place
        },
        after: |place, ran| {
            let store = block_on(SqliteCredentials::open(place.path(CREDENTIALS))).unwrap();
            let listed = block_on(store.list(CredentialKind::Webhook)).unwrap();
            if listed.len() == 1 {
                return After::Unchanged;
            }
            let user = 1.try_into().unwrap();
            assert_eq!((listed.len(), listed[1].user), (2, user));
            if ran.status == Some(0) {
                let granted = block_on(store.webhook(user, ran.out.trim_end()));
                assert_eq!(granted.unwrap().credential, listed[1].id);
            }
            After::Changed
        },
    });
}

fn dump(store: &Path) -> Snapshot {
    block_on(async { Sqlite::open(store).await?.dump().await }).unwrap()
}

/// Fails each system call in turn, and compares the answer with what is there afterwards.
fn check(change: &Change) {
    if !strace_is_installed() {
        return;
    }
    let faults: Vec<(&str, &str, usize)> = SYSTEM_CALLS
        .into_iter()
        .flat_map(|call| ERRORS.into_iter().map(move |error| (call, error)))
        .flat_map(|(call, error)| (1..=LAST).map(move |nth| (call, error, nth)))
        .collect();
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(call, error, nth)) =
                    faults.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let answer = check_fault(change, call, error, nth);
                    seen.lock().unwrap().insert((call, answer));
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    // A commit is synced by fdatasync; a truncation fails after everything else is done.
    for expected in [
        ("fdatasync", "outcome unknown"),
        ("pwrite64", "outcome unknown"),
        ("pread64", "nothing kept"),
        ("ftruncate", "success"),
    ] {
        assert!(seen.contains(&expected), "not seen: {expected:?} in {seen:?}");
    }
}

fn check_fault(change: &Change, call: &str, error: &str, nth: usize) -> &'static str {
    let place = (change.prepare)();
    let ran = run_with_fault(&place, change, call, error, nth);
    let after = (change.after)(&place, &ran);
    let answer = match ran.status {
        Some(0) => "success",
        Some(3) if ran.err.contains("outcome unknown") => "outcome unknown",
        Some(3) => "nothing kept",
        _ => panic!("{call} {error} {nth}: {ran:?}"),
    };
    let is_true = match answer {
        "success" => after == After::Changed,
        "nothing kept" => after == After::Unchanged,
        _ => true,
    };
    assert!(is_true, "{call} {error} {nth}: {after:?}, but {ran:?}");
    answer
}

fn run_with_fault(place: &Place, change: &Change, call: &str, error: &str, nth: usize) -> Ran {
    let program = place.program(change.command.iter().copied());
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    traced.arg(format!("inject={call}:error={error}:when={nth}"));
    // Calls on the database alone count: not those that load the program.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = place.path(&format!("{}{suffix}", change.file));
        traced.arg("-P").arg(file);
    }
    traced.arg(program.get_program()).args(program.get_args());
    traced.current_dir(place.path("."));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.output().unwrap().into()
}

/// Checks whether strace can be used; if not, the test is skipped.
///
/// # Panics
/// If it cannot be used and `CI` is `true`.
fn strace_is_installed() -> bool {
    let works = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    let problem = "`strace` is not installed or must not trace";
    assert!(works || std::env::var("CI").as_deref() != Ok("true"), "{problem}");
    if !works {
        eprintln!("skipped: {problem}");
    }
    works
}
