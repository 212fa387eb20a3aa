//! Injects a failure into the n-th system call on a database. The answer must agree with what the
//! database then holds.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crm_chat_credentials::{CredentialKind, CredentialStore, Credentials, SqliteCredentials};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::support::{Finished, TestDir, WORLD};

/// The system calls that fail, each at its first to [`LAST`]th call.
const SYSTEM_CALLS: [&str; 5] = ["fsync", "fdatasync", "pwrite64", "ftruncate", "pread64"];
const LAST: usize = 12;
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];

const STORE: &str = "crm-chat.db";
const CREDENTIALS: &str = "crm-chat-credentials.db";

/// The state of a database after a command that should have changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Unchanged,
    Changed,
}

/// A command that changes a database, and its check.
struct ChangeCommand {
    file: &'static str,
    command: &'static [&'static str],
    prepare: fn() -> TestDir,
    after: fn(&TestDir, &Finished) -> After,
}

#[test]
fn answer_to_a_removal_is_true_if_system_calls_fail() {
    assert_answers_are_true(&ChangeCommand {
        file: STORE,
        command: &["remove", "--actor", "1", "--entity", "deal:288", "--user", "12"],
        prepare: || TestDir::with_store(WORLD),
        after: |dir, _| {
            let dump = dump(&dir.path(STORE));
            let mut expected: Snapshot = serde_json::from_str(WORLD).unwrap();
            expected.sort();
            if dump == expected {
                return After::Unchanged;
            }
            let user = 12.try_into().unwrap();
            let chat = 8773.try_into().unwrap();
            assert_eq!(dump.removals.len(), 1);
            assert_eq!((dump.removals[0].user, dump.removals[0].chat), (user, chat));
            for changed in expected.chats.iter_mut().filter(|changed| changed.id == chat) {
                changed.members.retain(|member| *member != user);
            }
            expected.removals.clone_from(&dump.removals);
            assert_eq!(dump, expected, "half of a removal");
            After::Changed
        },
    });
}

#[test]
fn answer_to_an_import_is_true_if_system_calls_fail() {
    assert_answers_are_true(&ChangeCommand {
        file: STORE,
        command: &["import", "world.json"],
        prepare: || {
            let dir = TestDir::with_store("{}");
            dir.write("world.json", WORLD);
            dir
        },
        after: |dir, _| {
            let dump = dump(&dir.path(STORE));
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
fn answer_to_adding_a_webhook_is_true_if_system_calls_fail() {
    assert_answers_are_true(&ChangeCommand {
        file: CREDENTIALS,
        command: &["webhook", "add", "--user", "1"],
        prepare: || {
            let dir = TestDir::with_store(WORLD);
            dir.run("webhook add --user 2").assert_success();
            dir
        },
        after: |dir, finished| {
            let store = block_on(SqliteCredentials::open(dir.path(CREDENTIALS))).unwrap();
            let listed = block_on(store.list(CredentialKind::Webhook)).unwrap();
            if listed.len() == 1 {
                return After::Unchanged;
            }
            let user = 1.try_into().unwrap();
            assert_eq!((listed.len(), listed[1].user), (2, user));
            if finished.status == Some(0) {
                let granted = block_on(store.webhook(user, finished.stdout.trim_end()));
                assert_eq!(granted.unwrap().credential, listed[1].id);
            }
            After::Changed
        },
    });
}

fn dump(store: &Path) -> Snapshot {
    block_on(async { Sqlite::open(store).await?.dump().await }).unwrap()
}

/// A failure of a system call, injected by `strace`.
#[derive(Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// The number of the call that fails, from 1.
    nth: usize,
}

/// The answer of a command to a failed system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Success,
    NothingKept,
    OutcomeUnknown,
}

/// Fails each system call in turn, and asserts that the answer agrees with the database.
fn assert_answers_are_true(change: &ChangeCommand) {
    if !strace_is_installed() {
        return;
    }
    let mut faults = Vec::new();
    for call in SYSTEM_CALLS {
        for error in ERRORS {
            faults.extend((1..=LAST).map(|nth| Fault { call, error, nth }));
        }
    }
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let claim = assert_answer_is_true(change, fault);
                    seen.lock().unwrap().insert((fault.call, claim));
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    // A commit is synced by `fdatasync`. A truncation comes after everything else.
    for expected in [
        ("fdatasync", Claim::OutcomeUnknown),
        ("pwrite64", Claim::OutcomeUnknown),
        ("pread64", Claim::NothingKept),
        ("ftruncate", Claim::Success),
    ] {
        assert!(seen.contains(&expected), "not seen: {expected:?} in {seen:?}");
    }
}

fn assert_answer_is_true(change: &ChangeCommand, fault: &Fault) -> Claim {
    let dir = (change.prepare)();
    let finished = run_with_fault(&dir, change, fault);
    let after = (change.after)(&dir, &finished);
    let claim = match finished.status {
        Some(0) => Claim::Success,
        Some(3) if finished.stderr.contains("outcome unknown") => Claim::OutcomeUnknown,
        Some(3) => Claim::NothingKept,
        _ => panic!("{fault:?}: {finished:?}"),
    };
    let is_true = match claim {
        Claim::Success => after == After::Changed,
        Claim::NothingKept => after == After::Unchanged,
        Claim::OutcomeUnknown => true,
    };
    assert!(is_true, "{fault:?}: {after:?}, but {finished:?}");
    claim
}

fn run_with_fault(dir: &TestDir, change: &ChangeCommand, fault: &Fault) -> Finished {
    let Fault { call, error, nth } = fault;
    let program = dir.command(change.command.iter().copied());
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    traced.arg(format!("inject={call}:error={error}:when={nth}"));
    // Count only calls on the database, not those that load the program.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = dir.path(&format!("{}{suffix}", change.file));
        traced.arg("-P").arg(file);
    }
    traced.arg(program.get_program()).args(program.get_args());
    traced.current_dir(dir.path("."));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.output().unwrap().into()
}

/// Returns `true` if `strace` can be used. Otherwise the test is skipped, with a note.
///
/// # Panics
/// If `strace` cannot be used and `CI` is `true`.
fn strace_is_installed() -> bool {
    let works = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    let problem = "`strace` is not installed or not permitted to trace";
    assert!(works || std::env::var("CI").as_deref() != Ok("true"), "{problem}");
    if !works {
        eprintln!("skipped: {problem}");
    }
    works
}
