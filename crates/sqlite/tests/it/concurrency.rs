//! Several connections, threads and processes on one file.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crm_chat_domain::snapshot::LoadError;
use crm_chat_domain::{
    Answer, Change, ChatRepo, Outcome, OwnerChange, Refusal, RemoveError, Store, StoreErrorKind,
    UnitOfWork, remove_user,
};
use crm_chat_sqlite::Sqlite;
use rusqlite::Connection;

use crate::remote::Remote;
use crate::support::{Child, TempStore, assert_sound, block_on, deal, log, removal, user, world};

fn remove(store: &impl Store, id: i64) -> Answer {
    match block_on(remove_user(store, user(1), &removal(id))) {
        Ok(outcome) => Ok(outcome),
        Err(RemoveError::Refused(refusal)) => Err(refusal),
        Err(RemoveError::Store(error)) => panic!("{}", error.report()),
    }
}

/// Runs a function on many threads at the same time.
fn at_once<T: Send>(threads: usize, run: impl Fn() -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    let started = || {
        start.wait();
        run()
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(started)).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    })
}

#[track_caller]
fn assert_one_removed(answers: &[Answer]) {
    let removed = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Removed(_))));
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Refusal::NotAMember { .. })));
    assert_eq!((removed.count(), refused.count()), (1, answers.len() - 1), "{answers:?}");
}

#[test]
fn user_removed_through_many_handles_at_once_is_removed_once() {
    let temp = TempStore::containing(&world(3));
    let shared = temp.open();
    assert_one_removed(&at_once(8, || remove(&shared, 3)));
    assert_one_removed(&at_once(8, || remove(&temp.open(), 2)));
    assert_eq!(block_on(log(&shared)).unwrap().len(), 2);
    assert_sound(&temp.file());
}

#[test]
fn new_file_opened_by_many_at_once_becomes_one_store() {
    for _ in 0..10 {
        let temp = TempStore::new();
        let stores = at_once(8, || temp.open());
        assert_eq!(block_on(stores[0].dump()).unwrap(), crm_chat_domain::Snapshot::default());
        assert_sound(&temp.file());
    }
}

#[test]
fn only_one_of_many_simultaneous_loads_finds_the_store_empty() {
    let temp = TempStore::new();
    let loaded = at_once(8, || block_on(temp.open().load_if_empty(world(3))).unwrap());
    assert_eq!(loaded.iter().filter(|loaded| **loaded).count(), 1, "{loaded:?}");

    let store = temp.open();
    assert!(matches!(remove(&store, 3), Ok(Outcome::Removed(_))));
    let expected = block_on(store.dump()).unwrap();
    assert!(!block_on(store.load_if_empty(world(5))).unwrap());
    assert_eq!(block_on(store.dump()).unwrap(), expected);
}

const FILE: &str = "CRM_CHAT_TEST_FILE";
const USERS: std::ops::RangeInclusive<i64> = 2..=41;

/// Not a test by itself: runs in the processes of the next test.
#[test]
fn process_that_removes_all_users() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = block_on(Sqlite::open(Path::new(&file))).unwrap();
    for id in USERS {
        let _ = remove(&store, id);
    }
}

#[test]
fn users_removed_by_several_processes_are_removed_once() {
    let temp = TempStore::containing(&world(40));
    let name = "concurrency::process_that_removes_all_users";
    let children: Vec<_> =
        (0..3).map(|_| Child::running(name, FILE, temp.file()).start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }

    let store = temp.open();
    let mut removed: Vec<_> =
        block_on(log(&store)).unwrap().iter().map(|entry| entry.record.user.get()).collect();
    removed.sort_unstable();
    assert_eq!(removed, USERS.collect::<Vec<_>>());
    let chat = &block_on(store.dump()).unwrap().chats[0];
    assert!(chat.members.is_empty() && chat.owner.is_none());
    assert_sound(&temp.file());
}

#[test]
fn wait_beyond_the_lock_timeout_is_unavailable() {
    let temp = TempStore::containing(&world(3));
    let lock_timeout = Duration::from_millis(30);
    let open = || block_on(Sqlite::options().lock_timeout(lock_timeout).open(temp.file())).unwrap();
    let (holder, other) = (open(), open());
    let held = block_on(holder.begin()).unwrap();
    for store in [&holder.clone(), &other] {
        let error = block_on(store.begin()).err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(
            error.report(),
            "cannot begin a transaction: unavailable: another transaction held the store for longer than 30ms"
        );
    }
    block_on(held.rollback()).unwrap();
    assert!(matches!(remove(&other, 3), Ok(Outcome::Removed(_))));
}

/// Validation takes time, so it must not happen while others wait for the lock.
#[test]
fn invalid_snapshot_is_refused_without_the_lock() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    let mut invalid = world(3);
    invalid.chats[0].owner = Some(user(999));
    let held = block_on(store.begin()).unwrap();
    let refused = block_on(store.load(invalid));
    assert!(matches!(refused, Err(LoadError::Invalid(_))), "{refused:?}");
    drop(held);
}

/// Polls a future up to `polls` times, and drops it if it is not ready.
fn poll<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).find_map(|poll| {
        if poll > 0 {
            // Usually long enough for a timer or another thread to make progress. If not, fewer
            // states are covered.
            thread::sleep(Duration::from_millis(3));
        }
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    })
}

#[test]
fn cancelled_begin_leaves_no_lock() {
    let temp = TempStore::containing(&world(3));
    let (store, other) = (temp.open(), temp.open());
    for polls in 0..8 {
        for holder in [&store, &other] {
            let held = block_on(holder.begin()).unwrap();
            assert!(
                poll(store.begin(), polls).is_none(),
                "two write transactions at the same time"
            );
            drop(held);
            // When the lock is free, the transaction may begin; it is dropped at once.
            drop(poll(store.begin(), polls));
            for store in [&store, &other] {
                block_on(block_on(store.begin()).unwrap().rollback()).unwrap();
            }
        }
    }
    assert_eq!(block_on(store.dump()).unwrap(), world(3));
}

#[test]
fn cancelled_removal_is_complete_or_absent() {
    for polls in 0..8 {
        let temp = TempStore::containing(&world(3));
        let store = temp.open();
        let answer = poll(remove_user(&store, user(1), &removal(2)), polls);
        let dump = block_on(store.dump()).unwrap();
        match dump.removals.len() {
            0 => assert_eq!((dump, answer.is_none()), (world(3), true)),
            1 => assert_eq!(dump.chats[0].owner, Some(user(3))),
            _ => panic!("{dump:?}"),
        }
        assert_sound(&temp.file());
    }
}

fn owner_leaves() -> Change {
    Change {
        chat: 8773.try_into().unwrap(),
        user: user(2),
        actor: user(1),
        entity: deal(),
        owner: OwnerChange::Vacant,
    }
}

#[test]
fn dropped_transaction_is_rolled_back() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    let mut tx = block_on(store.begin()).unwrap();
    assert!(block_on(tx.remove_member(&owner_leaves())).unwrap());
    drop(tx);
    assert_eq!(block_on(temp.open().dump()).unwrap(), world(3));
}

/// A commit that does not wait for the disk does not need another thread.
#[test]
fn commit_without_sync_is_ready_at_once() {
    let temp = TempStore::containing(&world(3));
    let private = block_on(Sqlite::open_in_memory()).unwrap();
    block_on(private.load(world(3))).unwrap();
    for (store, writes) in [(temp.open(), false), (private, true)] {
        let mut tx = block_on(store.begin()).unwrap();
        if writes {
            assert!(block_on(tx.remove_member(&owner_leaves())).unwrap());
        }
        assert!(matches!(poll(tx.commit(), 1), Some(Ok(()))), "{writes}");
    }
}

/// Another tool may have left the file in another journal mode. No connection can switch to WAL
/// while there is a reader or a writer; SQLite itself waits only for readers.
#[test]
fn open_waits_for_connections_that_prevent_the_switch_to_wal() {
    for busy in ["BEGIN; SELECT count(*) FROM users", "BEGIN IMMEDIATE"] {
        let temp = TempStore::containing(&world(3));
        let other = Connection::open(temp.file()).unwrap();
        other.pragma_update(None, "journal_mode", "DELETE").unwrap();
        other.execute_batch(busy).unwrap();

        let lock_timeout = Duration::from_millis(30);
        let options = Sqlite::options().lock_timeout(lock_timeout);
        let error = block_on(options.open(temp.file())).unwrap_err();
        let report = error.report();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{report}");
        assert!(report.contains("cannot open the store"), "{report}");

        thread::scope(|scope| {
            let opening = scope.spawn(|| temp.open());
            thread::sleep(lock_timeout);
            other.execute_batch("COMMIT").unwrap();
            let store = opening.join().unwrap();
            assert_eq!(block_on(store.dump()).unwrap(), world(3));
        });
        let mode =
            Connection::open(temp.file())
                .unwrap()
                .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal");
    }
}

#[test]
fn user_removed_by_two_processes_at_once_is_removed_once() {
    for _ in 0..20 {
        let temp = TempStore::containing(&world(3));
        let processes = block_on(async {
            [Remote::start(&temp.file()).await, Remote::start(&temp.file()).await]
        });
        let start = Barrier::new(2);
        let answers = thread::scope(|scope| {
            let handles = processes.each_ref().map(|process| {
                scope.spawn(|| {
                    start.wait();
                    remove(process, 3)
                })
            });
            handles.map(|handle| handle.join().unwrap())
        });
        assert_one_removed(&answers);
        assert_eq!(block_on(log(&temp.open())).unwrap().len(), 1);
    }
}
