//! Reading a whole store.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{ChatId, LogEntry, RemovalRecord, Snapshot, StoreError};
use crm_chat_sqlite_file::failed;
use rusqlite::{Connection, Row};

use crate::session::Session;
use crate::value::Place;
use crate::{log, transaction};

/// One state of a store, read section by section in constant memory, while others write.
///
/// The sections are those of a [`Snapshot`], each in the order of a [sorted](Snapshot::sort) one.
/// Each method passes the items of one section to a function, which may end the reading by an error
/// of its own.
///
/// The methods read the disk in place and block: call them on a thread that may. While the export
/// exists, the store's journal grows by what others write.
///
/// ```
/// use crm_chat_domain::StoreError;
/// use crm_chat_sqlite::Sqlite;
///
/// # futures_lite::future::block_on(async {
/// let store = Sqlite::open_in_memory().await?;
/// let export = store.export().await?;
/// let mut active = 0;
/// export.users(|user| {
///     active += u32::from(user.active);
///     Ok::<_, StoreError>(())
/// })?;
/// assert_eq!(active, 0);
/// # Ok::<_, StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Export {
    session: Session,
}

impl Export {
    pub(crate) const fn new(session: Session) -> Self {
        Self { session }
    }

    /// Returns whether the messenger is installed.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub fn messenger_installed(&self) -> Result<bool, StoreError> {
        transaction::messenger_installed(&self.session)
    }

    /// Passes the users to `each`, by id.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not a user, and what `each` returns.
    pub fn users<E: From<StoreError>>(
        &self,
        each: impl FnMut(User) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns =
            |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, String>(2)?));
        let sql = "SELECT id, active, kind FROM users ORDER BY id";
        let user = |(id, active, kind): (i64, bool, String)| {
            let place = Place { table: "users", key: id };
            Ok(User { id: place.id("id", id)?, active, kind: place.user_kind(&kind)? })
        };
        visit(&self.session, sql, columns, user, each)
    }

    /// Passes the chats to `each`, by id. The members of one chat are in memory at once.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not a chat, and what `each` returns.
    pub fn chats<E: From<StoreError>>(
        &self,
        each: impl FnMut(Chat) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
        let sql = "SELECT id, owner FROM chats ORDER BY id";
        let mut members = self
            .session
            .prepare("SELECT user FROM members WHERE chat = ?1 ORDER BY position")
            .map_err(failed(READ))?;
        let chat = |(id, owner): (i64, Option<i64>)| {
            let place = Place { table: "chats", key: id };
            let members =
                members.query_map([id], |row| row.get::<_, i64>(0)).map_err(failed(READ))?;
            Ok(Chat {
                id: place.id("id", id)?,
                owner: owner.map(|owner| place.id("owner", owner)).transpose()?,
                members: members
                    .map(|user| {
                        let user = user.map_err(failed(READ))?;
                        let place = Place { table: "members", key: format_args!("({id}, {user})") };
                        place.id("user", user)
                    })
                    .collect::<Result<_, _>>()?,
            })
        };
        visit(&self.session, sql, columns, chat, each)
    }

    /// Passes the links to `each`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not a link, and what `each` returns.
    pub fn links<E: From<StoreError>>(
        &self,
        each: impl FnMut(Link) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ))
        };
        let sql = "SELECT position, kind, entity, chat FROM links ORDER BY position";
        let link = |(position, kind, entity, chat): (i64, String, i64, i64)| {
            let place = Place { table: "links", key: position };
            Ok(Link {
                entity: place.entity(&kind, entity)?,
                chat: place.id::<ChatId>("chat", chat)?,
            })
        };
        visit(&self.session, sql, columns, link, each)
    }

    /// Passes the access rights to `each`, by user, kind and entity. Those of one user are sorted
    /// in memory.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not an access right, and what `each`
    /// returns.
    pub fn access<E: From<StoreError>>(
        &self,
        each: impl FnMut(AccessGrant) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        };
        // In the order of `EntityKind`, which is not that of the texts.
        let sql = "SELECT user, kind, entity FROM access ORDER BY user,
            CASE kind WHEN 'lead' THEN 0 WHEN 'deal' THEN 1 WHEN 'company' THEN 2 ELSE 3 END,
            entity";
        let access = |(user, kind, entity): (i64, String, i64)| {
            let place = Place { table: "access", key: format_args!("({user}, {kind}, {entity})") };
            Ok(AccessGrant { user: place.id("user", user)?, entity: place.entity(&kind, entity)? })
        };
        visit(&self.session, sql, columns, access, each)
    }

    /// Passes the rights to remove to `each`, by user and chat.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not such a right, and what `each`
    /// returns.
    pub fn removers<E: From<StoreError>>(
        &self,
        each: impl FnMut(RemovalRight) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let sql = "SELECT user, chat FROM removers ORDER BY user, chat";
        let remover = |(user, chat): (i64, i64)| {
            let place = Place { table: "removers", key: format_args!("({user}, {chat})") };
            Ok(RemovalRight { user: place.id("user", user)?, chat: place.id("chat", chat)? })
        };
        visit(&self.session, sql, columns, remover, each)
    }

    /// Passes the records of the removal log to `each`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds what is not a record, and what `each` returns.
    pub fn removals<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(RemovalRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let each = |entry: LogEntry| each(entry.record);
        log::visit(&self.session, 0, usize::MAX, each)
    }

    /// Reads everything into memory.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut snapshot =
            Snapshot { messenger_installed: self.messenger_installed()?, ..Snapshot::default() };
        self.users(push(&mut snapshot.users))?;
        self.chats(push(&mut snapshot.chats))?;
        self.links(push(&mut snapshot.links))?;
        self.access(push(&mut snapshot.access))?;
        self.removers(push(&mut snapshot.removers))?;
        self.removals(push(&mut snapshot.removals))?;
        Ok(snapshot)
    }
}

fn push<T>(items: &mut Vec<T>) -> impl FnMut(T) -> Result<(), StoreError> {
    |item| {
        items.push(item);
        Ok(())
    }
}

/// The number of rows in each section of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCounts {
    /// The users.
    pub users: u64,
    /// The chats.
    pub chats: u64,
    /// The members of all chats.
    pub members: u64,
    /// The links.
    pub links: u64,
    /// The access rights.
    pub access: u64,
    /// The rights to remove.
    pub removers: u64,
    /// The records of the removal log that have not been pruned.
    pub removals: u64,
}

impl StoreCounts {
    pub(crate) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let count = |table: &str| {
            connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
                .map_err(failed("count what the store holds"))
        };
        Ok(Self {
            users: count("users")?,
            chats: count("chats")?,
            members: count("members")?,
            links: count("links")?,
            access: count("access")?,
            removers: count("removers")?,
            removals: count("removals")?,
        })
    }

    /// Returns whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the rows of a query: `columns` takes a row apart, `item` makes the item of it.
fn visit<C, T, E: From<StoreError>>(
    connection: &Connection,
    sql: &str,
    columns: impl Fn(&Row<'_>) -> rusqlite::Result<C>,
    mut item: impl FnMut(C) -> Result<T, StoreError>,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare(sql).map_err(failed(READ))?;
    let mut rows = statement.query([]).map_err(failed(READ))?;
    while let Some(row) = rows.next().map_err(failed(READ))? {
        let columns = columns(row).map_err(failed(READ))?;
        each(item(columns)?)?;
    }
    Ok(())
}

const READ: &str = "read the store";
