//! Reading a whole store, section by section.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{ChatId, LogEntry, RemovalRecord, Snapshot, StoreError};
use crm_chat_sqlite_file::ResultExt;
use rusqlite::{Connection, Row};

use crate::columns::RowRef;
use crate::owned_transaction::OwnedTransaction;
use crate::{log, transaction};

/// One state of a store, read section by section in constant memory while others write.
///
/// The sections are those of a [sorted](Snapshot::sort) [`Snapshot`], in the same order. Each
/// method passes the items of one section to a function, which can stop the export by returning an
/// error.
///
/// The methods read the disk on the calling thread, so call them on a thread that may block. While
/// the export exists, the journal of the store grows with every write.
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
    transaction: OwnedTransaction,
}

impl Export {
    pub(crate) const fn new(transaction: OwnedTransaction) -> Self {
        Self { transaction }
    }

    /// Returns `true` if the messenger is installed.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    pub fn messenger_installed(&self) -> Result<bool, StoreError> {
        transaction::messenger_installed(&self.transaction)
    }

    /// Passes the users to `each`, ordered by id.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid user, and any error of `each`.
    pub fn users<E: From<StoreError>>(
        &self,
        each: impl FnMut(User) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns =
            |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, String>(2)?));
        let sql = "SELECT id, active, kind FROM users ORDER BY id";
        let user = |(id, active, kind): (i64, bool, String)| {
            let row = RowRef { table: "users", key: id };
            Ok(User { id: row.id("id", id)?, active, kind: row.user_kind(&kind)? })
        };
        visit(&self.transaction, sql, columns, user, each)
    }

    /// Passes the chats to `each`, ordered by id. All members of one chat are in memory at once.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid chat, and any error of `each`.
    pub fn chats<E: From<StoreError>>(
        &self,
        each: impl FnMut(Chat) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
        let sql = "SELECT id, owner FROM chats ORDER BY id";
        let mut members = self
            .transaction
            .prepare("SELECT user FROM members WHERE chat = ?1 ORDER BY position")
            .context(READ)?;
        let chat = |(id, owner): (i64, Option<i64>)| {
            let row = RowRef { table: "chats", key: id };
            let members = members.query_map([id], |row| row.get::<_, i64>(0)).context(READ)?;
            Ok(Chat {
                id: row.id("id", id)?,
                owner: owner.map(|owner| row.id("owner", owner)).transpose()?,
                members: members
                    .map(|user| {
                        let user = user.context(READ)?;
                        let row = RowRef { table: "members", key: format_args!("({id}, {user})") };
                        row.id("user", user)
                    })
                    .collect::<Result<_, _>>()?,
            })
        };
        visit(&self.transaction, sql, columns, chat, each)
    }

    /// Passes the links to `each`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid link, and any error of `each`.
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
            let row = RowRef { table: "links", key: position };
            Ok(Link { entity: row.entity(&kind, entity)?, chat: row.id::<ChatId>("chat", chat)? })
        };
        visit(&self.transaction, sql, columns, link, each)
    }

    /// Passes the access grants to `each`, ordered by user, kind and entity. SQLite sorts the
    /// grants of one user in memory.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid grant, and any error of `each`.
    pub fn access<E: From<StoreError>>(
        &self,
        each: impl FnMut(AccessGrant) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        };
        // The order of `EntityKind` is not the alphabetical order of the texts.
        let sql = "SELECT user, kind, entity FROM access ORDER BY user,
            CASE kind WHEN 'lead' THEN 0 WHEN 'deal' THEN 1 WHEN 'company' THEN 2 ELSE 3 END,
            entity";
        let access = |(user, kind, entity): (i64, String, i64)| {
            let row = RowRef { table: "access", key: format_args!("({user}, {kind}, {entity})") };
            Ok(AccessGrant { user: row.id("user", user)?, entity: row.entity(&kind, entity)? })
        };
        visit(&self.transaction, sql, columns, access, each)
    }

    /// Passes the removal rights to `each`, ordered by user and chat.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid right, and any error of `each`.
    pub fn removers<E: From<StoreError>>(
        &self,
        each: impl FnMut(RemovalRight) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let sql = "SELECT user, chat FROM removers ORDER BY user, chat";
        let right = |(user, chat): (i64, i64)| {
            let row = RowRef { table: "removers", key: format_args!("({user}, {chat})") };
            Ok(RemovalRight { user: row.id("user", user)?, chat: row.id("chat", chat)? })
        };
        visit(&self.transaction, sql, columns, right, each)
    }

    /// Passes the records of the removal log to `each`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed or holds an invalid record, and any error of `each`.
    pub fn removals<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(RemovalRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let each = |entry: LogEntry| each(entry.record);
        log::visit(&self.transaction, 0, usize::MAX, each)
    }

    /// Reads all sections into memory.
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
    /// The access grants.
    pub access: u64,
    /// The removal rights.
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
                .context("count the rows of the store")
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

    /// Returns `true` if every section is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Passes the rows of a query to `each`: `columns` reads the columns of a row, and `item` converts
/// them.
fn visit<C, T, E: From<StoreError>>(
    connection: &Connection,
    sql: &str,
    columns: impl Fn(&Row<'_>) -> rusqlite::Result<C>,
    mut item: impl FnMut(C) -> Result<T, StoreError>,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare(sql).context(READ)?;
    let mut rows = statement.query([]).context(READ)?;
    while let Some(row) = rows.next().context(READ)? {
        let columns = columns(row).context(READ)?;
        each(item(columns)?)?;
    }
    Ok(())
}

const READ: &str = "read the store";
