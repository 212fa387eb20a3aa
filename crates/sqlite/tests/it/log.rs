//! The numbers of the removal log, its epochs and pruning.

use crm_chat_domain::{LogEntry, Outcome, Snapshot, remove_user};
use crm_chat_sqlite::{LogPage, Sqlite};
use rusqlite::Connection;

use crate::support::{TempStore, block_on, removal, user, world};

fn remove(store: &Sqlite, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        let removed = block_on(remove_user(store, user(1), &removal(id)));
        assert!(matches!(removed, Ok(Outcome::Removed(_))), "{removed:?}");
    }
}

fn page(store: &Sqlite, after: u64) -> LogPage {
    block_on(store.log_page(after, 1000)).unwrap()
}

fn numbers(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn pruned_numbers_are_not_assigned_again() {
    let temp = TempStore::containing(&world(20));
    let store = temp.open();
    remove(&store, 3..=7);
    let before = page(&store, 0);
    assert_eq!((before.last, before.pruned_through), (5, 0));

    assert_eq!(block_on(store.prune_log(4)).unwrap(), 3);
    let after = page(&store, 0);
    assert_eq!((after.epoch, after.last, after.pruned_through), (before.epoch.clone(), 5, 3));
    assert_eq!(after.entries, before.entries[3..]);
    // Records that were pruned before are not counted, and a lower number changes nothing.
    assert_eq!(block_on(store.prune_log(2)).unwrap(), 0);
    assert_eq!(page(&store, 0).pruned_through, 3);

    // The next number of an empty log is a new one, and it does not count as pruned in advance.
    assert_eq!(block_on(store.prune_log(u64::MAX)).unwrap(), 2);
    drop(store);
    let store = temp.open();
    let empty = page(&store, 0);
    assert_eq!((empty.last, empty.pruned_through), (5, 5));
    assert!(empty.entries.is_empty());
    remove(&store, 8..=8);
    let next = page(&store, 5);
    assert_eq!(numbers(&next.entries), [6]);
    assert_eq!((next.epoch, next.pruned_through), (before.epoch, 5));
}

#[test]
fn long_log_is_pruned_in_several_transactions() {
    let temp = TempStore::new();
    let store = temp.open();
    let record = world_with_removals(2500);
    block_on(store.load(record)).unwrap();
    assert_eq!(block_on(store.prune_log(2401)).unwrap(), 2400);
    let page = page(&store, 0);
    assert_eq!((page.pruned_through, page.last), (2400, 2500));
    assert_eq!(numbers(&page.entries), (2401..=2500).collect::<Vec<_>>());
}

fn world_with_removals(count: i64) -> Snapshot {
    let mut snapshot = world(3);
    snapshot.removals = (1..=count)
        .map(|id| crm_chat_domain::RemovalRecord {
            chat: 8773.try_into().unwrap(),
            user: user(id),
            actor: user(1),
            entity: crate::support::deal(),
            new_owner: None,
            recorded_at: None,
        })
        .collect();
    snapshot
}

/// An operator may edit the tables by hand.
#[test]
fn numbers_of_rows_deleted_by_hand_are_not_assigned_again() {
    let temp = TempStore::containing(&world(20));
    let store = temp.open();
    remove(&store, 3..=4);
    let foreign = Connection::open(temp.file()).unwrap();
    foreign.execute("DELETE FROM removals", []).unwrap();
    assert_eq!(page(&store, 0).last, 2);
    remove(&store, 5..=5);
    assert_eq!(numbers(&page(&store, 2).entries), [3]);
}

#[test]
fn each_load_begins_an_epoch_and_numbers_from_one() {
    let temp = TempStore::new();
    let store = temp.open();
    let mut epochs = vec![page(&store, 0).epoch];
    for _ in 0..2 {
        block_on(store.load(world_with_removals(2))).unwrap();
        remove(&store, 3..=4);
        block_on(store.prune_log(2)).unwrap();
        block_on(store.load(world_with_removals(2))).unwrap();
        let loaded = page(&store, 0);
        assert_eq!((loaded.last, loaded.pruned_through), (2, 0));
        assert_eq!(numbers(&loaded.entries), [1, 2]);
        remove(&store, 3..=3);
        let next = page(&store, 2);
        assert_eq!((numbers(&next.entries), &next.epoch), (vec![3], &loaded.epoch));
        epochs.push(loaded.epoch);
    }
    block_on(store.load(Snapshot::default())).unwrap();
    let empty = page(&store, 0);
    assert_eq!((empty.last, empty.pruned_through), (0, 0));
    epochs.push(empty.epoch);
    for epoch in &epochs {
        assert_eq!(epoch.len(), 32);
        assert!(epoch.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
    }
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 4);
}

#[test]
fn epoch_is_the_same_for_every_handle_and_after_a_restart() {
    let temp = TempStore::containing(&world(3));
    let (one, other) = (temp.open(), temp.open());
    let epoch = page(&one, 0).epoch;
    assert_eq!(page(&other, 0).epoch, epoch);
    drop((one, other));
    assert_eq!(page(&temp.open(), 0).epoch, epoch);
}

#[test]
fn page_is_limited_and_starts_above_the_number() {
    let temp = TempStore::containing(&world_with_removals(9));
    let store = temp.open();
    let page = block_on(store.log_page(3, 2)).unwrap();
    assert_eq!((numbers(&page.entries), page.last), (vec![4, 5], 9));
}
