//! Removes a user from a SQLite store under a bare `block_on`, without an async runtime.
//!
//! `cargo run -p crm-chat-sqlite --example block_on`

use std::error::Error;

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{Outcome, Removal, Snapshot, UserId, remove_user};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("crm-chat.db");
    let [actor, owner, member]: [UserId; 3] = [1.try_into()?, 7.try_into()?, 12.try_into()?];

    block_on(async {
        let store = Sqlite::open(&file).await?;
        store.load(world(actor, owner, member)?).await?;

        // Any thread can poll the future. Only the wait for the disk runs on another thread.
        let removal = Removal::new("deal:288".parse()?, owner);
        let outcome = remove_user(&store, actor, &removal).await?;
        let Outcome::Removed(change) = outcome else {
            return Err("no user was removed".into());
        };
        println!("user {} left chat {}", change.user, change.chat);

        // A second handle on the file, as another process would open it.
        let other = Sqlite::options().create(false).open(&file).await?;
        for entry in other.log(0, 100).await? {
            println!("record {}: the owner is now {:?}", entry.sequence, entry.record.new_owner);
        }
        let again = remove_user(&other, actor, &removal).await.unwrap_err();
        println!("again: {again}");
        Ok(())
    })
}

/// Returns a world with a deal whose chat has two members, whom `actor` may remove.
fn world(actor: UserId, owner: UserId, member: UserId) -> Result<Snapshot, Box<dyn Error>> {
    let entity = "deal:288".parse()?;
    let chat = 8773.try_into()?;
    let human = |id| User { id, active: true, kind: UserKind::Human };
    Ok(Snapshot {
        users: vec![human(owner), human(member)],
        chats: vec![Chat { id: chat, owner: Some(owner), members: vec![owner, member] }],
        links: vec![Link { entity, chat }],
        access: vec![AccessGrant { user: actor, entity }],
        removers: vec![RemovalRight { user: actor, chat }],
        ..Snapshot::default()
    })
}
