//! Tests of failed writes, which need access to the connection: a page limit simulates a full disk,
//! a trigger makes a statement fail.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, LoadError, RemovalRight, User, UserKind};
use crm_chat_domain::{
    Change, ChatRepo, Outcome, OwnerChange, Removal, RemoveError, Snapshot, Store, StoreErrorKind,
    UnitOfWork, UserId, remove_user,
};
use futures_lite::future::block_on;

use crate::Sqlite;

fn user(id: i64) -> UserId {
    id.try_into().unwrap()
}

/// Returns a world in which actor 1 may remove users 2 to 2000 from the last chat of deal 288.
fn world() -> Snapshot {
    let entity = "deal:288".parse().unwrap();
    let chat = 8773.try_into().unwrap();
    let users = (2..=2000).map(user);
    Snapshot {
        users: users.clone().map(|id| User { id, active: true, kind: UserKind::Human }).collect(),
        chats: vec![Chat { id: chat, owner: None, members: users.collect() }],
        links: vec![Link { entity, chat }],
        access: vec![AccessGrant { user: user(1), entity }],
        removers: vec![RemovalRight { user: user(1), chat }],
        ..Snapshot::default()
    }
}

/// Limits the number of pages of the file. With a limit of 1, it cannot grow.
async fn limit_pages(store: &Sqlite, pages: u32) {
    store.connection.lock().await.pragma_update(None, "max_page_count", pages).unwrap();
}

#[test]
fn full_disk_changes_nothing_and_the_store_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("crm-chat.db");
    block_on(async {
        let store = Sqlite::open(&file).await.unwrap();
        limit_pages(&store, 1).await;
        let error = store.load(world()).await.unwrap_err();
        let expected = "cannot load a snapshot: unavailable: the disk is full (code 13): free some \
                        space and try again";
        assert!(
            matches!(&error, LoadError::Store(error) if error.report() == expected),
            "{error:?}"
        );
        assert_eq!(store.dump().await.unwrap(), Snapshot::default());

        limit_pages(&store, u32::MAX - 1).await;
        store.load(world()).await.unwrap();
        limit_pages(&store, 1).await;
        let removal = |id| Removal::new("deal:288".parse().unwrap(), user(id));
        let mut removed = 0;
        let error = loop {
            match remove_user(&store, user(1), &removal(removed + 2)).await {
                Ok(Outcome::Removed(_)) => removed += 1,
                Err(RemoveError::Store(error)) => break error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", error.report());
        let dump = store.dump().await.unwrap();
        let count = usize::try_from(removed).unwrap();
        assert_eq!((dump.removals.len(), dump.chats[0].members.len()), (count, 1999 - count));

        limit_pages(&store, u32::MAX - 1).await;
        let retried = remove_user(&store, user(1), &removal(removed + 2)).await;
        assert!(matches!(retried, Ok(Outcome::Removed(_))), "{retried:?}");
    });
}

/// The trigger makes the insertion of the log record fail, after the member was deleted.
#[test]
fn transaction_with_a_failed_write_cannot_be_committed() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let store = Sqlite::open(directory.path().join("store.db")).await.unwrap();
        store.load(world()).await.unwrap();
        let change = |id| Change {
            chat: 8773.try_into().unwrap(),
            user: user(id),
            actor: user(1),
            entity: "deal:288".parse().unwrap(),
            owner: OwnerChange::Unchanged,
        };
        let trigger = "CREATE TEMP TRIGGER fail BEFORE INSERT ON removals
            WHEN new.user = 3 BEGIN SELECT raise(FAIL, 'provoked'); END";
        let connection = store.connection.lock().await;
        connection.execute_batch(trigger).unwrap();
        drop(connection);

        let mut tx = store.begin().await.unwrap();
        assert!(tx.remove_member(&change(2)).await.unwrap());
        let error = tx.remove_member(&change(3)).await.unwrap_err();
        let expected =
            "cannot remove user 3 from chat 8773: unexpected failure: provoked (code 1811)";
        assert_eq!(error.report(), expected);
        // A part of the change may have been made, so further writes are rejected too.
        let error = tx.remove_member(&change(4)).await.unwrap_err();
        assert_eq!(error.report(), expected);
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        assert_eq!(
            error.report(),
            format!("cannot commit a transaction: unexpected failure: {expected}")
        );
        assert_eq!(store.dump().await.unwrap(), world());

        let removal = Removal::new("deal:288".parse().unwrap(), user(4));
        let removed = remove_user(&store, user(1), &removal).await;
        assert!(matches!(removed, Ok(Outcome::Removed(_))), "{removed:?}");
    });
}
