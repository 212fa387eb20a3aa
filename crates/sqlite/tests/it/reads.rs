//! Read-only transactions.

use std::time::Duration;

use crm_chat_domain::{
    Change, ChatRepo, Outcome, OwnerChange, Role, Store, StoreErrorKind, UnitOfWork, remove_user,
};
use crm_chat_sqlite::Sqlite;

use crate::support::{TempStore, block_on, deal, log, removal, user, world};

fn removal_of_user_3() -> Change {
    Change {
        chat: 8773.try_into().unwrap(),
        user: user(3),
        actor: user(1),
        entity: deal(),
        owner: OwnerChange::Unchanged,
    }
}

#[test]
fn reads_do_not_wait_for_a_writer() {
    let temp = TempStore::containing(&world(3));
    let options = Sqlite::options().lock_timeout(Duration::from_millis(50));
    let store = block_on(options.open(temp.file())).unwrap();
    let mut writer = block_on(store.begin()).unwrap();
    assert!(block_on(writer.remove_member(&removal_of_user_3())).unwrap());

    block_on(async {
        let mut reader = store.begin_read().await.unwrap();
        let role = reader.role(8773.try_into().unwrap(), user(3)).await;
        assert_eq!(role.unwrap(), Some(Role::Member));
        reader.commit().await.unwrap();
        assert_eq!(store.dump().await.unwrap(), world(3));
        assert_eq!(store.counts().await.unwrap().members, 3);
        assert_eq!(store.log_page(0, 9).await.unwrap().last, 0);
        store.backup(temp.directory().join("backup.db")).await.unwrap();
        writer.commit().await.unwrap();
    });
    assert_eq!(block_on(log(&store)).unwrap().len(), 1);
}

#[test]
fn writer_does_not_wait_for_reads_and_each_read_keeps_its_snapshot() {
    let temp = TempStore::containing(&world(9));
    let options = Sqlite::options().lock_timeout(Duration::from_millis(50));
    let store = block_on(options.open(temp.file())).unwrap();
    let chat = 8773.try_into().unwrap();
    let mut readers = Vec::new();
    for id in 3..7 {
        readers.push(block_on(store.begin_read()).unwrap());
        let removed = block_on(remove_user(&store, user(1), &removal(id)));
        assert!(matches!(removed, Ok(Outcome::Removed(_))), "{removed:?}");
    }
    for (reader, began_before) in readers.iter_mut().zip(3..) {
        for id in 3..7 {
            let expected = (id >= began_before).then_some(Role::Member);
            assert_eq!(block_on(reader.role(chat, user(id))).unwrap(), expected);
        }
    }
    // There are four connections. A fifth read waits for one of them up to the lock timeout.
    let error = block_on(store.begin_read()).err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let removed = block_on(remove_user(&store, user(1), &removal(7)));
    assert!(matches!(removed, Ok(Outcome::Removed(_))), "{removed:?}");
    readers.pop();
    block_on(store.begin_read()).unwrap();
}

#[test]
fn write_in_read_transaction_is_unsupported() {
    let temp = TempStore::containing(&world(3));
    let in_memory = block_on(Sqlite::open_in_memory()).unwrap();
    block_on(in_memory.load(world(3))).unwrap();
    for store in [temp.open(), in_memory] {
        let mut reader = block_on(store.begin_read()).unwrap();
        let error = block_on(reader.remove_member(&removal_of_user_3())).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        assert_eq!(
            error.report(),
            "cannot remove user 3 from chat 8773: unsupported: the transaction was begun for \
             reading"
        );
        block_on(reader.commit()).unwrap();
        assert_eq!(block_on(store.dump()).unwrap(), world(3));
    }
}
