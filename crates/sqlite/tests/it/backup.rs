//! Backups of a store in use, restoring them, and exports.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crm_chat_domain::{Outcome, Snapshot, StoreError, StoreErrorKind, remove_user};
use crm_chat_sqlite::{Export, Sqlite, StoreCounts};
use rusqlite::Connection;

use crate::support::{TempStore, assert_sound, block_on, copy, log, removal, user, works, world};

const USERS: i64 = 800;
const WRITERS: i64 = 8;

#[test]
fn backup_during_removals_is_consistent() {
    let temp = TempStore::containing(&world(USERS));
    let store = temp.open();
    let done = AtomicBool::new(false);
    let backups = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|first| {
                let store = if first % 2 == 0 { store.clone() } else { temp.open() };
                scope.spawn(move || {
                    for id in (2 + first..2 + USERS).step_by(8) {
                        let removed = block_on(remove_user(&store, user(1), &removal(id)));
                        assert!(matches!(removed, Ok(Outcome::Removed(_))), "{removed:?}");
                    }
                })
            })
            .collect();
        let backups = scope.spawn(|| {
            let mut backups = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let path = temp.directory().join(format!("backup-{}.db", backups.len()));
                block_on(store.backup(&path)).unwrap();
                backups.push(path);
            }
            backups
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        backups.join().unwrap()
    });
    let all = block_on(log(&store)).unwrap();
    let epoch = block_on(store.log_page(0, 0)).unwrap().epoch;
    assert_eq!(all.len(), usize::try_from(USERS).unwrap());
    for path in backups {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let copy = block_on(Sqlite::options().create(false).open(&path)).unwrap();
        let entries = block_on(log(&copy)).unwrap();
        assert!(all.starts_with(&entries), "not a past state of the log");
        let removed: Vec<_> = entries.iter().map(|entry| entry.record.user).collect();
        let expected: Vec<_> =
            (2..2 + USERS).map(user).filter(|id| !removed.contains(id)).collect();
        let chat = &block_on(copy.dump()).unwrap().chats[0];
        assert_eq!(chat.members, expected, "members and records differ");
        assert_ne!(block_on(copy.log_page(0, 0)).unwrap().epoch, epoch);
        drop(copy);
        assert_sound(&path);
    }
    assert!(
        !fs::read_dir(temp.directory()).unwrap().any(|entry| entry
            .unwrap()
            .path()
            .to_string_lossy()
            .contains("partial"))
    );
}

#[test]
fn each_backup_has_its_own_epoch_and_keeps_the_numbers() {
    let temp = TempStore::containing(&world(9));
    let store = temp.open();
    for id in 3..=5 {
        block_on(remove_user(&store, user(1), &removal(id))).unwrap();
    }
    block_on(store.prune_log(u64::MAX)).unwrap();
    let mut epochs = vec![block_on(store.log_page(0, 0)).unwrap().epoch];
    for name in ["one.db", "ö ?#%41.db"] {
        let path = temp.directory().join(name);
        block_on(store.backup(&path)).unwrap();
        let copy = block_on(Sqlite::open(&path)).unwrap();
        block_on(remove_user(&copy, user(1), &removal(6))).unwrap();
        let page = block_on(copy.log_page(0, 9)).unwrap();
        assert_eq!((page.last, page.pruned_through), (4, 3));
        assert_eq!(page.entries[0].sequence, 4);
        epochs.push(page.epoch);
    }
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 3);
}

/// The operator stops the server, deletes the journal, replaces the file and starts the server.
#[test]
fn restored_backup_has_the_old_contents_and_a_new_epoch() {
    let temp = TempStore::containing(&world(9));
    let backup = temp.directory().join("backup.db");
    let store = temp.open();
    block_on(remove_user(&store, user(1), &removal(3))).unwrap();
    block_on(store.backup(&backup)).unwrap();
    let expected = block_on(store.dump()).unwrap();
    let epoch = block_on(store.log_page(0, 0)).unwrap().epoch;
    block_on(remove_user(&store, user(1), &removal(4))).unwrap();
    // Simulate a crash, which leaves a journal that does not belong to the backup.
    std::mem::forget(store);
    fs::remove_file(temp.file()).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(temp.directory().join(format!("store.db{suffix}"))).unwrap();
    }
    fs::rename(&backup, temp.file()).unwrap();

    let restored = temp.open();
    assert_eq!(block_on(restored.dump()).unwrap(), expected);
    assert_ne!(block_on(restored.log_page(0, 0)).unwrap().epoch, epoch);
    block_on(remove_user(&restored, user(1), &removal(4))).unwrap();
    assert_sound(&temp.file());
}

#[test]
fn each_restore_of_one_backup_begins_an_epoch() {
    let temp = TempStore::containing(&world(9));
    let backup = temp.directory().join("backup.db");
    block_on(temp.open().backup(&backup)).unwrap();
    let mut epochs = BTreeSet::new();
    for name in ["first.db", "second.db"] {
        let restored = temp.directory().join(name);
        copy(&backup, &restored);
        // Handles that open the restored file at the same time agree on its epoch.
        let start = Barrier::new(4);
        let opened: BTreeSet<_> = thread::scope(|scope| {
            let open = || {
                start.wait();
                let store = block_on(Sqlite::open(&restored)).unwrap();
                block_on(store.log_page(0, 0)).unwrap().epoch
            };
            let handles: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        assert_eq!(opened.len(), 1, "{opened:?}");
        epochs.extend(opened);
    }
    assert_eq!(epochs.len(), 2, "{epochs:?}");
}

#[test]
fn backup_never_overwrites_a_file() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    let taken = temp.directory().join("taken");
    for content in ["", "mine"] {
        fs::write(&taken, content).unwrap();
        let error = block_on(store.backup(&taken)).unwrap_err();
        let expected = format!(
            "cannot back up the store to `{}`: unavailable: the file exists already",
            taken.display()
        );
        assert_eq!(error.report(), expected);
        assert_eq!(fs::read_to_string(&taken).unwrap(), content);
    }
    // It does not overwrite the store itself either.
    assert!(block_on(store.backup(temp.file())).is_err());
    assert_eq!(block_on(store.dump()).unwrap(), world(3));
}

#[test]
fn failed_backup_leaves_no_file() {
    let temp = TempStore::containing(&world(400));
    let store = temp.open();
    let missing = temp.directory().join("no").join("backup.db");
    let error = block_on(store.backup(&missing)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);

    // A row refers to a missing row. The copy must not pass for a good backup.
    Connection::open(temp.file())
        .unwrap()
        .execute_batch("PRAGMA foreign_keys = OFF; UPDATE chats SET owner = 99999")
        .unwrap();
    let before = temp.contents().len();
    let error = block_on(store.backup(temp.directory().join("backup.db"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
    assert_eq!(temp.contents().len(), before);
}

const BACKED_UP: &str = "CRM_CHAT_TEST_BACKED_UP";

/// Not a test by itself: runs in the process of the next test. Backs up a store, and prints the
/// result.
#[test]
fn process_that_backs_up() {
    let Some(file) = std::env::var_os(BACKED_UP).map(std::path::PathBuf::from) else {
        return;
    };
    let store = block_on(Sqlite::open(&file)).unwrap();
    let backup = file.with_file_name("backup.db");
    let succeeded = block_on(store.backup(backup)).is_ok();
    println!("\nsucceeded: {succeeded}");
}

#[test]
fn backup_whose_system_calls_fail_leaves_no_file() {
    if !works(&["strace", "-qq", "-o", "/dev/null", "true"]) {
        return;
    }
    let mut failed = 0;
    for (call, error) in [
        ("pwrite64", "ENOSPC"),
        ("pread64", "EIO"),
        ("fdatasync", "EIO"),
        ("fsync", "EIO"),
        ("rename", "EIO"),
    ] {
        for nth in [1, 2, 3, 7] {
            let temp = TempStore::containing(&world(100));
            let fault = format!("inject={call}:error={error}:when={nth}");
            let partial = temp.directory().join("backup.db.partial");
            let output = std::process::Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &fault, "-P"])
                .arg(&partial)
                .arg(std::env::current_exe().unwrap())
                .args(["backup::process_that_backs_up", "--exact", "--nocapture"])
                .env(BACKED_UP, temp.file())
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            let succeeded = printed.contains("succeeded: true");
            assert!(succeeded || printed.contains("succeeded: false"), "{printed}");
            let backup = temp.directory().join("backup.db");
            assert_eq!(backup.exists(), succeeded, "{call} {error} {nth}");
            assert!(!partial.exists(), "{call} {error} {nth}");
            if succeeded {
                let copy = block_on(Sqlite::open(&backup)).unwrap();
                assert_eq!(block_on(copy.dump()).unwrap(), world(100));
            } else {
                failed += 1;
            }
        }
    }
    assert!(failed >= 10, "only {failed} faults made a backup fail");
}

#[test]
fn store_in_memory_is_backed_up_to_a_file() {
    let temp = TempStore::new();
    let store = block_on(Sqlite::open_in_memory()).unwrap();
    block_on(store.load(world(3))).unwrap();
    block_on(store.backup(temp.file())).unwrap();
    assert_eq!(block_on(temp.open().dump()).unwrap(), world(3));
    assert_eq!(store.wal_bytes(), 0);
}

#[test]
fn journal_size_is_reported() {
    let temp = TempStore::new();
    let store = temp.open();
    block_on(store.load(world(100))).unwrap();
    let journal = temp.directory().join("store.db-wal");
    assert!(store.wal_bytes() > 4096);
    assert_eq!(store.wal_bytes(), journal.metadata().unwrap().len());
}

/// Returns a world in which every section has several items, not in sorted order.
fn shuffled() -> Snapshot {
    let json = serde_json::json!({
        "messenger_installed": false,
        "users": [{"id": 9, "active": true}, {"id": 2, "active": false, "kind": "bot"}],
        "chats": [{"id": 8, "owner": 5, "members": [7, 5]}, {"id": 3, "members": []}],
        "links": [
            {"entity": {"type": "deal", "id": 4}, "chat": 8},
            {"entity": {"type": "company", "id": 1}, "chat": 3},
        ],
        "access": [
            {"user": 2, "entity": {"type": "contact", "id": 1}},
            {"user": 2, "entity": {"type": "company", "id": 1}},
            {"user": 2, "entity": {"type": "lead", "id": 10}},
            {"user": 2, "entity": {"type": "deal", "id": 5}},
            {"user": 2, "entity": {"type": "lead", "id": 9}},
            {"user": 1, "entity": {"type": "contact", "id": 5}},
        ],
        "removers": [{"user": 2, "chat": 8}, {"user": 2, "chat": 3}, {"user": 1, "chat": 8}],
        "removals": [
            {"chat": 8, "user": 6, "actor": 1, "entity": {"type": "deal", "id": 4}},
            {"chat": 7, "user": 5, "actor": 2, "entity": {"type": "lead", "id": 4}},
        ],
    });
    serde_json::from_value(json).unwrap()
}

fn collect(export: &Export) -> Result<Snapshot, StoreError> {
    fn push<T>(items: &mut Vec<T>) -> impl FnMut(T) -> Result<(), StoreError> {
        |item| {
            items.push(item);
            Ok(())
        }
    }
    let mut snapshot =
        Snapshot { messenger_installed: export.messenger_installed()?, ..Snapshot::default() };
    export.users(push(&mut snapshot.users))?;
    export.chats(push(&mut snapshot.chats))?;
    export.links(push(&mut snapshot.links))?;
    export.access(push(&mut snapshot.access))?;
    export.removers(push(&mut snapshot.removers))?;
    export.removals(push(&mut snapshot.removals))?;
    Ok(snapshot)
}

#[test]
fn export_is_a_consistent_sorted_snapshot() {
    let temp = TempStore::containing(&shuffled());
    let store = temp.open();
    let mut expected = shuffled();
    expected.sort();
    let export = block_on(store.export()).unwrap();
    block_on(store.load(world(3))).unwrap();
    assert_eq!(collect(&export).unwrap(), expected);
    drop(export);
    let export = block_on(store.export()).unwrap();
    assert_eq!(collect(&export).unwrap(), world(3));
}

#[test]
fn export_stops_with_the_error_of_its_reader() {
    #[derive(Debug)]
    enum ReadError {
        Store(StoreError),
        Enough,
    }
    impl From<StoreError> for ReadError {
        fn from(error: StoreError) -> Self {
            Self::Store(error)
        }
    }
    let temp = TempStore::containing(&world(9));
    let store = temp.open();
    let export = block_on(store.export()).unwrap();
    let mut seen = 0;
    let result = export.users(|_| {
        seen += 1;
        if seen == 3 { Err(ReadError::Enough) } else { Ok(()) }
    });
    assert!(matches!(result, Err(ReadError::Enough)) && seen == 3, "{result:?}");

    Connection::open(temp.file())
        .unwrap()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE users SET kind = 'cat'")
        .unwrap();
    let export = block_on(store.export()).unwrap();
    let result = export.users(|_| Ok::<_, ReadError>(()));
    assert!(
        matches!(&result, Err(ReadError::Store(error)) if error.kind() == StoreErrorKind::Corrupt),
        "{result:?}"
    );
}

#[test]
fn counts_equal_the_sizes_of_the_sections() {
    let temp = TempStore::new();
    let store = temp.open();
    let empty = block_on(store.counts()).unwrap();
    assert!(empty == StoreCounts::default() && empty.is_empty());
    block_on(store.load(shuffled())).unwrap();
    let counts = block_on(store.counts()).unwrap();
    assert_eq!((counts.users, counts.chats, counts.members, counts.links), (2, 2, 2, 2));
    assert_eq!((counts.access, counts.removers, counts.removals), (6, 3, 2));
    assert!(!counts.is_empty());
}
