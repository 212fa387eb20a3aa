//! Loading snapshots.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{Snapshot, StoreError, UserId};
use crm_chat_sqlite_file::ResultExt;
use rusqlite::{Connection, params};

use crate::columns::user_kind;
use crate::log;

/// Replaces the contents of a store by a snapshot, which must be valid. Numbers its log from 1, in
/// a new epoch.
pub(crate) fn load(connection: &Connection, snapshot: &Snapshot) -> Result<(), StoreError> {
    fill(connection, snapshot).context("load a snapshot")
}

/// Deletes everything. Owners are cleared first: otherwise, each deleted member would be looked up
/// as the owner of its chat.
const CLEAR: &str = "UPDATE chats SET owner = NULL;
    DELETE FROM removals;
    DELETE FROM sqlite_sequence WHERE name = 'removals';
    DELETE FROM removers;
    DELETE FROM access;
    DELETE FROM links;
    DELETE FROM members;
    DELETE FROM chats;
    DELETE FROM users;";

fn fill(connection: &Connection, snapshot: &Snapshot) -> rusqlite::Result<()> {
    connection.execute_batch(CLEAR)?;
    connection.execute(
        "INSERT OR REPLACE INTO settings (id, messenger_installed, epoch, pruned_through)
         VALUES (1, ?1, lower(hex(randomblob(16))), 0)",
        [snapshot.messenger_installed],
    )?;
    fill_users(connection, &snapshot.users)?;
    fill_chats(connection, &snapshot.chats)?;
    fill_links(connection, &snapshot.links)?;
    fill_access(connection, &snapshot.access)?;
    fill_removers(connection, &snapshot.removers)?;
    log::fill(connection, &snapshot.removals)
}

fn fill_users(connection: &Connection, users: &[User]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO users (id, active, kind) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare(sql)?;
    for user in users {
        insert.execute(params![user.id.get(), user.active, user_kind(user.kind)])?;
    }
    Ok(())
}

fn fill_chats(connection: &Connection, chats: &[Chat]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO members (chat, user, position) VALUES (?1, ?2, ?3)";
    let mut join = connection.prepare(sql)?;
    let mut insert = connection.prepare("INSERT INTO chats (id, owner) VALUES (?1, ?2)")?;
    for chat in chats {
        insert.execute(params![chat.id.get(), chat.owner.map(UserId::get)])?;
        for (position, member) in (1_i64..).zip(&chat.members) {
            join.execute([chat.id.get(), member.get(), position])?;
        }
    }
    Ok(())
}

fn fill_links(connection: &Connection, links: &[Link]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO links (position, kind, entity, chat) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = connection.prepare(sql)?;
    for (position, Link { entity, chat }) in (1_i64..).zip(links) {
        insert.execute(params![position, entity.kind.as_str(), entity.id.get(), chat.get()])?;
    }
    Ok(())
}

fn fill_access(connection: &Connection, access: &[AccessGrant]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO access (user, kind, entity) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare(sql)?;
    for AccessGrant { user, entity } in access {
        insert.execute(params![user.get(), entity.kind.as_str(), entity.id.get()])?;
    }
    Ok(())
}

fn fill_removers(connection: &Connection, removers: &[RemovalRight]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO removers (user, chat) VALUES (?1, ?2)")?;
    for RemovalRight { user, chat } in removers {
        insert.execute([user.get(), chat.get()])?;
    }
    Ok(())
}
