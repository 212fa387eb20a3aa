//! Files that others access, replace or migrate while they are open.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crm_chat_domain::snapshot::{EditError, LoadError};
use crm_chat_domain::{
    Answer, ChatRepo, Edit, Outcome, Refusal, RemoveError, Store, StoreError, StoreErrorKind,
    remove_user,
};
use crm_chat_sqlite::Sqlite;
use rusqlite::Connection;

use crate::support::{
    Child, TempStore, assert_sound, block_on, log, read, removal, user, works, world,
};

fn remove(store: &Sqlite, id: i64) -> Answer {
    match block_on(remove_user(store, user(1), &removal(id))) {
        Ok(outcome) => Ok(outcome),
        Err(RemoveError::Refused(refusal)) => Err(refusal),
        Err(RemoveError::Store(error)) => panic!("{}", error.report()),
    }
}

/// Returns the locks that this process holds on a file, each with its kind and range.
fn locks(file: &Path) -> Vec<String> {
    let process = std::process::id().to_string();
    let inode = format!(":{}", file.metadata().unwrap().ino());
    fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words[4] == process && words[5].ends_with(&inode))
        .map(|words| format!("{} {}-{}", words[3], words[6], words[7]))
        .collect()
}

/// The lock that every open connection in WAL mode holds.
const SHARED: &str = "READ 1073741826-1073742335";

#[cfg(target_os = "linux")]
#[test]
fn opening_a_file_again_keeps_the_locks_of_the_first_handle() {
    let temp = TempStore::containing(&world(3));
    let first = temp.open();
    assert_eq!(locks(&temp.file()), [SHARED]);
    let second = temp.open();
    assert_eq!(locks(&temp.file()), [SHARED]);
    drop(second);
    assert_eq!(locks(&temp.file()), [SHARED]);
    drop(first);
    assert!(locks(&temp.file()).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn refused_open_keeps_the_locks_of_other_connections() {
    let temp = TempStore::containing(&world(3));
    let newer = Connection::open(temp.file()).unwrap();
    newer.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(locks(&temp.file()), [SHARED]);
    let error = block_on(Sqlite::open(temp.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(locks(&temp.file()), [SHARED]);
}

const TWO_HANDLES: &str = "CRM_CHAT_TEST_TWO_HANDLES";

/// Not a test by itself: runs in a process of the tests below. Opens two handles, and removes the
/// users whose ids it reads from standard input.
#[test]
fn process_with_two_handles() {
    let Some(file) = std::env::var_os(TWO_HANDLES) else {
        return;
    };
    let first = block_on(Sqlite::open(Path::new(&file))).unwrap();
    let _second = block_on(Sqlite::open(Path::new(&file))).unwrap();
    println!("\nready");
    for line in std::io::stdin().lines() {
        let id = line.unwrap().parse().unwrap();
        let removed = matches!(remove(&first, id), Ok(Outcome::Removed(_)));
        println!("{id} {removed}");
    }
}

struct TwoHandles {
    process: std::process::Child,
    users: ChildStdin,
    answers: std::io::Lines<BufReader<ChildStdout>>,
}

impl TwoHandles {
    fn start(temp: &TempStore) -> Self {
        let name = "open_files::process_with_two_handles";
        let mut process = Child::running(name, TWO_HANDLES, temp.file())
            .command(|command| {
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
            })
            .start();
        let users = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut handles = Self { process, users, answers };
        handles.read_until("ready");
        handles
    }

    fn read_until(&mut self, expected: &str) {
        let answer = self.answers.find(|line| line.as_ref().unwrap() == expected);
        assert!(answer.is_some(), "the process ended before `{expected}`");
    }

    fn remove(&mut self, id: i64) {
        writeln!(self.users, "{id}").unwrap();
        self.read_until(&format!("{id} true"));
    }
}

/// SQLite before 3.51 checkpoints and deletes the journal when it closes a database that seems to
/// have no other connection.
#[test]
fn access_by_another_program_loses_no_removal() {
    if !works(&["sqlite3", "--version"]) {
        return;
    }
    assert_no_removal_is_lost(|file| {
        let visit = Command::new("sqlite3")
            .arg(file)
            .arg("SELECT count(*) FROM removals")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(visit.stdout).unwrap(), "0\n");
    });
}

const READ_FILE: &str = "CRM_CHAT_TEST_READ_FILE";

/// Not a test by itself: runs in the process of the next test. Opens a file, reads it and closes
/// it.
#[test]
fn process_that_reads() {
    if let Some(file) = std::env::var_os(READ_FILE) {
        let store = block_on(Sqlite::open(Path::new(&file))).unwrap();
        assert!(block_on(log(&store)).unwrap().is_empty());
    }
}

#[test]
fn access_by_another_process_loses_no_removal() {
    assert_no_removal_is_lost(|file| {
        let status = Child::running("open_files::process_that_reads", READ_FILE, file).run();
        assert!(status.success());
    });
}

/// Lets another program access a file of which a process has two handles, and checks that the
/// process loses no removal afterwards.
fn assert_no_removal_is_lost(access: impl Fn(&Path)) {
    for killed in [true, false] {
        let temp = TempStore::containing(&world(20));
        let mut handles = TwoHandles::start(&temp);
        access(&temp.file());
        let journal = temp.directory().join("store.db-wal");
        assert!(journal.exists(), "the other program deleted the journal");

        let mut expected = vec![3, 4, 5];
        for id in &expected {
            handles.remove(*id);
        }
        let other = temp.open();
        let users = |store: &Sqlite| -> Vec<i64> {
            let entries = block_on(log(store)).unwrap();
            let numbers: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
            assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>());
            entries.iter().map(|entry| entry.record.user.get()).collect()
        };
        assert_eq!(users(&other), expected);
        assert!(matches!(remove(&other, 6), Ok(Outcome::Removed(_))));
        assert!(matches!(remove(&other, 5), Err(Refusal::NotAMember { .. })));
        expected.push(6);

        if killed {
            handles.process.kill().unwrap();
        }
        let TwoHandles { mut process, users: input, .. } = handles;
        drop(input);
        assert_eq!(process.wait().unwrap().success(), !killed);
        assert_eq!(users(&other), expected);
        drop(other);
        assert_eq!(users(&temp.open()), expected);
        assert_sound(&temp.file());
    }
}

/// Calls every method of a store, and returns their errors.
fn failures(store: &Sqlite, directory: &Path) -> Vec<StoreError> {
    let removal = match block_on(remove_user(store, user(1), &removal(3))) {
        Err(RemoveError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    let edit = match block_on(store.edit(&Edit::SetMessenger { installed: false })) {
        Err(EditError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    let load = match block_on(store.load(world(3))) {
        Err(LoadError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    vec![
        removal,
        edit,
        load,
        block_on(store.begin()).err().unwrap(),
        block_on(store.begin_read()).err().unwrap(),
        block_on(store.dump()).unwrap_err(),
        block_on(store.export()).unwrap_err(),
        block_on(store.counts()).unwrap_err(),
        block_on(store.log(0, 1)).unwrap_err(),
        block_on(store.log_page(0, 1)).unwrap_err(),
        block_on(store.prune_log(1)).unwrap_err(),
        block_on(store.backup(directory.join("backup.db"))).unwrap_err(),
    ]
}

#[track_caller]
fn assert_all_fail(store: &Sqlite, temp: &TempStore, kind: StoreErrorKind, because: &str) {
    for error in failures(store, temp.directory()) {
        assert_eq!(error.kind(), kind, "{}", error.report());
        assert!(error.report().ends_with(because), "{}", error.report());
    }
    assert!(!temp.directory().join("backup.db").exists());
}

const REPLACED: &str = "the file was replaced or deleted while it was open: restart the program";

#[test]
fn replaced_store_file_is_reported_as_unavailable() {
    for warm in [false, true] {
        let temp = TempStore::containing(&world(3));
        let store = temp.open();
        if warm {
            // Open a connection for reads before the file is replaced.
            block_on(store.dump()).unwrap();
        }
        let other = TempStore::containing(&world(5));
        let before = read(&other.file());
        fs::rename(other.file(), temp.file()).unwrap();
        assert_all_fail(&store, &temp, StoreErrorKind::Unavailable, REPLACED);
        assert!(read(&temp.file()) == before);
    }
}

#[test]
fn deleted_store_file_is_reported_as_unavailable() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    for (path, _) in temp.contents() {
        fs::remove_file(path).unwrap();
    }
    assert_all_fail(&store, &temp, StoreErrorKind::Unavailable, REPLACED);
    assert!(temp.contents().is_empty());
}

/// SQLite would go on writing to a journal that other processes cannot see.
#[test]
fn deleted_journal_is_reported_as_unavailable() {
    for suffix in ["-wal", "-shm"] {
        let temp = TempStore::containing(&world(3));
        let store = temp.open();
        fs::remove_file(temp.directory().join(format!("store.db{suffix}"))).unwrap();
        assert_all_fail(&store, &temp, StoreErrorKind::Unavailable, REPLACED);
    }
}

#[test]
fn file_replaced_during_a_wait_for_its_lock_is_detected() {
    let temp = TempStore::containing(&world(3));
    let (store, holder) = (temp.open(), temp.open());
    let held = block_on(holder.begin()).unwrap();
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(store.begin()).err());
        fs::rename(temp.file(), temp.directory().join("moved.db")).unwrap();
        drop(held);
        waiting.join().unwrap()
    });
    assert_eq!(waiting.unwrap().kind(), StoreErrorKind::Unavailable);
}

#[test]
fn migration_by_a_newer_version_makes_every_method_fail() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    block_on(store.dump()).unwrap();
    let mut reading = block_on(store.begin_read()).unwrap();
    let newer = Connection::open(temp.file()).unwrap();
    newer
        .execute_batch(
            "BEGIN IMMEDIATE;
             ALTER TABLE users ADD COLUMN name TEXT;
             PRAGMA user_version = 2;
             COMMIT",
        )
        .unwrap();
    // A read transaction from before the migration can be completed.
    assert!(block_on(reading.messenger_installed()).unwrap());
    drop(reading);
    let because = "its schema has version 2, and this program knows up to 1: use a newer program";
    assert_all_fail(&store, &temp, StoreErrorKind::Unsupported, because);
}
