//! The store runs on any runtime and does not block its threads.

use std::time::Duration;

use crm_chat_domain::{Outcome, RemoveError, Store, UnitOfWork, remove_user};
use crm_chat_sqlite::Sqlite;

use crate::support::{TempStore, block_on, removal, user, world};

async fn remove(store: Sqlite) -> Result<Outcome, RemoveError> {
    remove_user(&store, user(1), &removal(3)).await
}

#[track_caller]
fn assert_removes(run: impl FnOnce(Sqlite) -> Result<Outcome, RemoveError>) {
    let temp = TempStore::containing(&world(3));
    let outcome = run(temp.open()).unwrap();
    assert!(matches!(outcome, Outcome::Removed(_)), "{outcome:?}");
    assert_eq!(block_on(temp.open().dump()).unwrap().removals.len(), 1);
}

#[test]
fn store_runs_on_every_runtime() {
    let tokio = || tokio::runtime::Builder::new_multi_thread().build().unwrap();
    assert_removes(|store| block_on(remove(store)));
    assert_removes(|store| smol::block_on(smol::spawn(remove(store))));
    assert_removes(|store| tokio().block_on(async { tokio::spawn(remove(store)).await.unwrap() }));
}

#[test]
fn wait_for_the_lock_does_not_block_the_thread() {
    let temp = TempStore::containing(&world(3));
    let (holder, waiter) = (temp.open(), temp.open());
    let executor = smol::LocalExecutor::new();
    // Both run on one thread: if the waiter blocked it, the holder could never release the lock.
    let outcome = block_on(executor.run(async {
        let held = holder.begin().await.unwrap();
        let waiting = executor.spawn(remove(waiter));
        smol::Timer::after(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        held.commit().await.unwrap();
        waiting.await
    }));
    assert!(matches!(outcome, Ok(Outcome::Removed(_))));
}
