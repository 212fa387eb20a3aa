//! Load and dump.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{ChatId, Snapshot, StoreError, UserId};
use rusqlite::{Connection, Row, params};

use crate::error::failed;
use crate::value::{Place, user_kind};
use crate::{log, transaction};

const LOAD: &str = "load a snapshot";
const DUMP: &str = "dump the store";

/// Replaces everything by a valid snapshot.
pub(crate) fn load(connection: &Connection, snapshot: &Snapshot) -> Result<(), StoreError> {
    fill(connection, snapshot).map_err(failed(LOAD))
}

/// Deletes everything. The owners go first, so that no member is looked up in vain.
const CLEAR: &str = "UPDATE chats SET owner = NULL;
    DELETE FROM removals;
    DELETE FROM removers;
    DELETE FROM access;
    DELETE FROM links;
    DELETE FROM members;
    DELETE FROM chats;
    DELETE FROM users;";

fn fill(connection: &Connection, snapshot: &Snapshot) -> rusqlite::Result<()> {
    connection.execute_batch(CLEAR)?;
    connection.execute(
        "INSERT OR REPLACE INTO settings (only, messenger_installed) VALUES (1, ?1)",
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
        insert.execute(params![
            position,
            entity.kind.as_str(),
            entity.id.get(),
            chat.get()
        ])?;
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

/// Reads everything.
pub(crate) fn dump(connection: &Connection) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot {
        messenger_installed: transaction::messenger_installed(connection)?,
        users: users(connection)?,
        chats: chats(connection)?,
        links: links(connection)?,
        access: access(connection)?,
        removers: removers(connection)?,
        removals: log::read(connection, 0, usize::MAX)?
            .into_iter()
            .map(|entry| entry.record)
            .collect(),
    };
    snapshot.sort();
    Ok(snapshot)
}

fn users(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let columns =
        |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, String>(2)?));
    list(
        connection,
        "SELECT id, active, kind FROM users",
        columns,
        |(id, active, kind)| {
            let place = Place {
                table: "users",
                key: id,
            };
            Ok(User {
                id: place.id("id", id)?,
                active,
                kind: place.user_kind(&kind)?,
            })
        },
    )
}

fn chats(connection: &Connection) -> Result<Vec<Chat>, StoreError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
    let sql = "SELECT id, owner FROM chats";
    let mut members = connection
        .prepare("SELECT user FROM members WHERE chat = ?1 ORDER BY position")
        .map_err(failed(DUMP))?;
    list(connection, sql, columns, |(id, owner)| {
        let place = Place {
            table: "chats",
            key: id,
        };
        let members = members
            .query_map([id], |row| row.get::<_, i64>(0))
            .map_err(failed(DUMP))?;
        Ok(Chat {
            id: place.id("id", id)?,
            owner: owner.map(|owner| place.id("owner", owner)).transpose()?,
            members: members
                .map(|user| {
                    let user = user.map_err(failed(DUMP))?;
                    let place = Place {
                        table: "members",
                        key: format_args!("({id}, {user})"),
                    };
                    place.id("user", user)
                })
                .collect::<Result<_, _>>()?,
        })
    })
}

fn links(connection: &Connection) -> Result<Vec<Link>, StoreError> {
    let columns = |row: &Row<'_>| {
        Ok((
            row.get(0)?,
            row.get::<_, String>(1)?,
            row.get(2)?,
            row.get(3)?,
        ))
    };
    let sql = "SELECT position, kind, entity, chat FROM links ORDER BY position";
    list(
        connection,
        sql,
        columns,
        |(position, kind, entity, chat)| {
            let place = Place::<i64> {
                table: "links",
                key: position,
            };
            Ok(Link {
                entity: place.entity(&kind, entity)?,
                chat: place.id::<ChatId>("chat", chat)?,
            })
        },
    )
}

fn access(connection: &Connection) -> Result<Vec<AccessGrant>, StoreError> {
    let columns = |row: &Row<'_>| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
        ))
    };
    list(
        connection,
        "SELECT user, kind, entity FROM access",
        columns,
        |(user, kind, entity)| {
            let place = Place {
                table: "access",
                key: format_args!("({user}, {kind}, {entity})"),
            };
            Ok(AccessGrant {
                user: place.id("user", user)?,
                entity: place.entity(&kind, entity)?,
            })
        },
    )
}

fn removers(connection: &Connection) -> Result<Vec<RemovalRight>, StoreError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    list(
        connection,
        "SELECT user, chat FROM removers",
        columns,
        |(user, chat)| {
            let place = Place {
                table: "removers",
                key: format_args!("({user}, {chat})"),
            };
            Ok(RemovalRight {
                user: place.id("user", user)?,
                chat: place.id("chat", chat)?,
            })
        },
    )
}

/// Reads the rows of a query: `columns` takes a row apart, `item` makes of it what it stands for.
fn list<C, T>(
    connection: &Connection,
    sql: &str,
    columns: impl Fn(&Row<'_>) -> rusqlite::Result<C>,
    mut item: impl FnMut(C) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql).map_err(failed(DUMP))?;
    let rows = statement.query_map([], columns).map_err(failed(DUMP))?;
    rows.map(|row| item(row.map_err(failed(DUMP))?)).collect()
}
