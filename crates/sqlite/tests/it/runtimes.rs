//! The store is bound to no runtime, and blocks none.

use std::time::Duration;

use crm_chat_domain::{Outcome, RemoveError, Store, UnitOfWork, remove_user};
use crm_chat_sqlite::Sqlite;

use crate::support::{Place, block_on, removal, user, world};

async fn remove(store: Sqlite) -> Result<Outcome, RemoveError> {
    remove_user(&store, user(1), &removal(3)).await
}

#[track_caller]
fn check(run: impl FnOnce(Sqlite) -> Result<Outcome, RemoveError>) {
    let place = Place::holding(&world(3));
    let outcome = run(place.open()).unwrap();
    assert!(matches!(outcome, Outcome::Removed(_)), "{outcome:?}");
    assert_eq!(block_on(place.open().dump()).unwrap().removals.len(), 1);
}

#[test]
fn it_runs_on_every_runtime() {
    let tokio = || tokio::runtime::Builder::new_multi_thread().build().unwrap();
    check(|store| block_on(remove(store)));
    check(|store| smol::block_on(smol::spawn(remove(store))));
    check(|store| tokio().block_on(async { tokio::spawn(remove(store)).await.unwrap() }));
}

#[test]
fn waiting_for_the_lock_blocks_no_thread() {
    let place = Place::holding(&world(3));
    let (holder, waiter) = (place.open(), place.open());
    let executor = smol::LocalExecutor::new();
    // One thread for both: if the waiter blocked it, the holder would never let go of the lock.
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
