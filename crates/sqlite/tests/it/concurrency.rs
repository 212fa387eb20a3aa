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
use crate::support::{Child, Place, assert_sound, block_on, deal, log, removal, user, world};

fn remove(store: &impl Store, id: i64) -> Answer {
    match block_on(remove_user(store, user(1), &removal(id))) {
        Ok(outcome) => Ok(outcome),
        Err(RemoveError::Refused(refusal)) => Err(refusal),
        Err(RemoveError::Store(error)) => panic!("{}", error.report()),
    }
}

/// Runs something once on each of many threads, all started at once.
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
fn a_user_removed_at_once_through_many_handles_is_removed_once() {
    let place = Place::holding(&world(3));
    let shared = place.open();
    assert_one_removed(&at_once(8, || remove(&shared, 3)));
    assert_one_removed(&at_once(8, || remove(&place.open(), 2)));
    assert_eq!(block_on(log(&shared)).unwrap().len(), 2);
    assert_sound(&place.file());
}

#[test]
fn a_new_file_opened_at_once_by_many_becomes_one_store() {
    for _ in 0..10 {
        let place = Place::new();
        let stores = at_once(8, || place.open());
        assert_eq!(block_on(stores[0].dump()).unwrap(), crm_chat_domain::Snapshot::default());
        assert_sound(&place.file());
    }
}

const FILE: &str = "CRM_CHAT_TEST_FILE";
const USERS: std::ops::RangeInclusive<i64> = 2..=41;

/// No law: what the other processes of the test below do.
#[test]
fn process_that_removes_everybody() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = block_on(Sqlite::open(Path::new(&file))).unwrap();
    for id in USERS {
        let _ = remove(&store, id);
    }
}

#[test]
fn several_processes_that_remove_the_same_users_remove_each_once() {
    let place = Place::holding(&world(40));
    let name = "concurrency::process_that_removes_everybody";
    let children: Vec<_> =
        (0..3).map(|_| Child::running(name, FILE, place.file()).start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }

    let store = place.open();
    let mut removed: Vec<_> =
        block_on(log(&store)).unwrap().iter().map(|entry| entry.record.user.get()).collect();
    removed.sort_unstable();
    assert_eq!(removed, USERS.collect::<Vec<_>>());
    let chat = &block_on(store.dump()).unwrap().chats[0];
    assert!(chat.members.is_empty() && chat.owner.is_none());
    assert_sound(&place.file());
}

#[test]
fn whoever_waits_too_long_for_the_lock_gets_unavailable() {
    let place = Place::holding(&world(3));
    let patience = Duration::from_millis(30);
    let open = || block_on(Sqlite::options().lock_timeout(patience).open(place.file())).unwrap();
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

/// A document is validated before the lock is asked for, and not while everyone waits for it.
#[test]
fn invalid_snapshot_is_refused_without_the_lock() {
    let place = Place::holding(&world(3));
    let store = place.open();
    let mut invalid = world(3);
    invalid.chats[0].owner = Some(user(999));
    let held = block_on(store.begin()).unwrap();
    let refused = block_on(store.load(invalid));
    assert!(matches!(refused, Err(LoadError::Invalid(_))), "{refused:?}");
    drop(held);
}

/// Polls a future up to `polls` times, and drops it if it is not ready by then.
fn poll<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).find_map(|poll| {
        if poll > 0 {
            // Long enough for a timer or another thread to have moved the future on.
            thread::sleep(Duration::from_millis(3));
        }
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    })
}

#[test]
fn a_begin_that_is_cancelled_leaves_no_lock() {
    let place = Place::holding(&world(3));
    let (store, other) = (place.open(), place.open());
    for polls in 0..8 {
        for holder in [&store, &other] {
            let held = block_on(holder.begin()).unwrap();
            assert!(poll(store.begin(), polls).is_none(), "begun beside another");
            drop(held);
            // Polled at last when the lock is free, the transaction begins and is dropped at once.
            drop(poll(store.begin(), polls));
            for store in [&store, &other] {
                block_on(block_on(store.begin()).unwrap().rollback()).unwrap();
            }
        }
    }
    assert_eq!(block_on(store.dump()).unwrap(), world(3));
}

#[test]
fn a_removal_that_is_cancelled_is_whole_or_absent() {
    for polls in 0..8 {
        let place = Place::holding(&world(3));
        let store = place.open();
        let answer = poll(remove_user(&store, user(1), &removal(2)), polls);
        let dump = block_on(store.dump()).unwrap();
        match dump.removals.len() {
            0 => assert_eq!((dump, answer.is_none()), (world(3), true)),
            1 => assert_eq!(dump.chats[0].owner, Some(user(3))),
            _ => panic!("{dump:?}"),
        }
        assert_sound(&place.file());
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
fn a_transaction_that_is_dropped_leaves_nothing() {
    let place = Place::holding(&world(3));
    let store = place.open();
    let mut tx = block_on(store.begin()).unwrap();
    assert!(block_on(tx.remove_member(&owner_leaves())).unwrap());
    drop(tx);
    assert_eq!(block_on(place.open().dump()).unwrap(), world(3));
}

/// What need not wait for the disk pays for no other thread.
#[test]
fn a_commit_that_has_nothing_to_sync_is_ready_at_once() {
    let place = Place::holding(&world(3));
    let private = block_on(Sqlite::open_in_memory()).unwrap();
    block_on(private.load(world(3))).unwrap();
    for (store, writes) in [(place.open(), false), (private, true)] {
        let mut tx = block_on(store.begin()).unwrap();
        if writes {
            assert!(block_on(tx.remove_member(&owner_leaves())).unwrap());
        }
        assert!(matches!(poll(tx.commit(), 1), Some(Ok(()))), "{writes}");
    }
}

/// In the journal mode that a foreign tool may have left, nobody can switch to WAL beside a reader or a writer. SQLite
/// waits for the one by itself, and not for the other.
#[test]
fn whoever_opens_waits_for_those_who_keep_the_journal_from_being_switched() {
    for busy in ["BEGIN; SELECT count(*) FROM users", "BEGIN IMMEDIATE"] {
        let place = Place::holding(&world(3));
        let other = Connection::open(place.file()).unwrap();
        other.pragma_update(None, "journal_mode", "DELETE").unwrap();
        other.execute_batch(busy).unwrap();

        let patience = Duration::from_millis(30);
        let impatient = Sqlite::options().lock_timeout(patience);
        let error = block_on(impatient.open(place.file())).unwrap_err();
        let told = error.report();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{told}");
        assert!(told.contains("cannot open the store"), "{told}");

        thread::scope(|scope| {
            let opening = scope.spawn(|| place.open());
            thread::sleep(patience);
            other.execute_batch("COMMIT").unwrap();
            let store = opening.join().unwrap();
            assert_eq!(block_on(store.dump()).unwrap(), world(3));
        });
        let mode =
            Connection::open(place.file())
                .unwrap()
                .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal");
    }
}

#[test]
fn a_user_removed_at_once_by_two_processes_is_removed_once() {
    for _ in 0..20 {
        let place = Place::holding(&world(3));
        let processes = block_on(async {
            [Remote::start(&place.file()).await, Remote::start(&place.file()).await]
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
        assert_eq!(block_on(log(&place.open())).unwrap().len(), 1);
    }
}
