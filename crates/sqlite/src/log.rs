//! The removal log.

use crm_chat_domain::{LogEntry, RemovalRecord, StoreError, UserId};
use crm_chat_sqlite_file::{ResultExt, corrupt};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::RowRef;

/// A page of the removal log, and the state of the whole log at the moment of reading.
///
/// A follower stores the epoch together with the number of the last record that it has read. Its
/// position is lost if the epoch differs, if `pruned_through` is above that number, or if `last` is
/// below it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPage {
    /// The identifier of this numbering, 32 hexadecimal digits. It changes whenever a snapshot is
    /// loaded and whenever a backup is restored.
    pub epoch: String,
    /// The number up to which records may have been deleted by
    /// [`Sqlite::prune_log`](crate::Sqlite::prune_log); 0 if none were.
    pub pruned_through: u64,
    /// The highest number ever assigned in this epoch; 0 if there is none.
    pub last: u64,
    /// The records.
    pub entries: Vec<LogEntry>,
}

const SELECT_AFTER: &str =
    "SELECT sequence, chat, user, actor, kind, entity, new_owner, recorded_at
    FROM removals WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// Inserts records, numbered from 1, into an empty log.
pub(crate) fn fill(connection: &Connection, records: &[RemovalRecord]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO removals (sequence, chat, user, actor, kind, entity, new_owner, recorded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (sequence, record) in (1_i64..).zip(records) {
        insert.execute(params![
            sequence,
            record.chat.get(),
            record.user.get(),
            record.actor.get(),
            record.entity.kind.as_str(),
            record.entity.id.get(),
            record.new_owner.map(UserId::get),
            record.recorded_at.map(|time| time.to_string()),
        ])?;
    }
    Ok(())
}

/// Reads up to `limit` records numbered above `after`, lowest first.
pub(crate) fn read(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut entries = Vec::new();
    visit(connection, after, limit, |entry| {
        entries.push(entry);
        Ok::<_, StoreError>(())
    })?;
    Ok(entries)
}

/// Passes up to `limit` records numbered above `after` to `each`, lowest first.
pub(crate) fn visit<E: From<StoreError>>(
    connection: &Connection,
    after: u64,
    limit: usize,
    mut each: impl FnMut(LogEntry) -> Result<(), E>,
) -> Result<(), E> {
    // No record has a number beyond the range of SQLite's integers, and no log has as many records.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SELECT_AFTER).context(READ)?;
    let mut rows = statement.query([after, limit]).context(READ)?;
    while let Some(row) = rows.next().context(READ)? {
        let row = LogRow::read(row).context(READ)?;
        each(row.entry()?)?;
    }
    Ok(())
}

/// Reads up to `limit` records numbered above `after`, lowest first, with the state of the log.
pub(crate) fn read_page(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<LogPage, StoreError> {
    let numbering = Numbering::read(connection)?;
    Ok(LogPage {
        epoch: numbering.epoch,
        pruned_through: numbering.pruned_through.unsigned_abs(),
        last: numbering.last.unsigned_abs(),
        entries: read(connection, after, limit)?,
    })
}

/// The state of the log's numbering.
struct Numbering {
    epoch: String,
    pruned_through: i64,
    last: i64,
}

impl Numbering {
    fn read(connection: &Connection) -> Result<Self, StoreError> {
        // SQLite keeps the highest number of an AUTOINCREMENT table in a table of its own.
        let sql = "SELECT epoch, pruned_through, max(
                coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'removals'), 0),
                coalesce((SELECT max(sequence) FROM removals), 0))
            FROM settings";
        let numbering = |row: &Row<'_>| {
            Ok(Self { epoch: row.get(0)?, pruned_through: row.get(1)?, last: row.get(2)? })
        };
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], numbering).optional())
            .context(READ)?
            .ok_or_else(|| corrupt("settings", 1, "the row is missing"))
    }
}

/// The maximum number of records deleted in one transaction: every other writer waits for it.
const PRUNE_BATCH: i64 = 1000;

/// Deletes up to [`PRUNE_BATCH`] records numbered below `before`, lowest first. Returns their
/// number, and `true` if there may be more.
pub(crate) fn prune(connection: &Connection, before: u64) -> Result<(u64, bool), StoreError> {
    const OPERATION: &str = "prune the removal log";
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let sql = "SELECT max(sequence) FROM
        (SELECT sequence FROM removals WHERE sequence < ?1 ORDER BY sequence LIMIT ?2)";
    let boundary: Option<i64> =
        connection.query_row(sql, [before, PRUNE_BATCH], |row| row.get(0)).context(OPERATION)?;
    let deleted = match boundary {
        Some(boundary) => connection
            .execute("DELETE FROM removals WHERE sequence <= ?1", [boundary])
            .context(OPERATION)?,
        None => 0,
    };
    let more = i64::try_from(deleted).is_ok_and(|deleted| deleted >= PRUNE_BATCH);
    let through = match boundary {
        Some(boundary) if more => boundary,
        // A number that was not assigned yet must not count as pruned: a record will get it.
        _ => Numbering::read(connection)?.last.min(before.saturating_sub(1)),
    };
    connection
        .execute("UPDATE settings SET pruned_through = ?1 WHERE pruned_through < ?1", [through])
        .context(OPERATION)?;
    Ok((deleted.try_into().unwrap_or(u64::MAX), more))
}

/// Removes the epoch from a copy of a store. The numbers stay.
pub(crate) fn end_epoch(copy: &Connection) -> Result<(), StoreError> {
    copy.execute("UPDATE settings SET epoch = NULL", [])
        .map(drop)
        .context("mark the copy as a backup")
}

/// Begins an epoch in a store that has none: a backup that was never opened.
///
/// The epoch is not chosen when the backup is made, because the same backup may be restored twice:
/// after each restore, the same numbers are assigned to different records.
pub(crate) fn ensure_epoch(connection: &Connection) -> Result<(), StoreError> {
    const OPERATION: &str = "begin an epoch of the removal log";
    // Read first: the UPDATE takes the write lock even if it changes nothing.
    let missing = connection
        .prepare("SELECT 1 FROM settings WHERE epoch IS NULL")
        .and_then(|mut statement| statement.exists([]))
        .context(OPERATION)?;
    if missing {
        // Of several processes that open the file at once, the first to get the lock decides.
        let sql = "UPDATE settings SET epoch = lower(hex(randomblob(16))) WHERE epoch IS NULL";
        connection.execute(sql, []).context(OPERATION)?;
    }
    Ok(())
}

const READ: &str = "read the removal log";

/// A row of the table `removals`.
struct LogRow {
    sequence: i64,
    chat: i64,
    user: i64,
    actor: i64,
    kind: String,
    entity: i64,
    new_owner: Option<i64>,
    recorded_at: Option<String>,
}

impl LogRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            chat: row.get(1)?,
            user: row.get(2)?,
            actor: row.get(3)?,
            kind: row.get(4)?,
            entity: row.get(5)?,
            new_owner: row.get(6)?,
            recorded_at: row.get(7)?,
        })
    }

    fn entry(&self) -> Result<LogEntry, StoreError> {
        let row = RowRef { table: "removals", key: self.sequence };
        let recorded_at = self.recorded_at.as_deref();
        Ok(LogEntry {
            sequence: self.sequence.unsigned_abs(),
            record: RemovalRecord {
                chat: row.id("chat", self.chat)?,
                user: row.id("user", self.user)?,
                actor: row.id("actor", self.actor)?,
                entity: row.entity(&self.kind, self.entity)?,
                new_owner: self.new_owner.map(|user| row.id("new_owner", user)).transpose()?,
                recorded_at: recorded_at.map(|time| row.parse("recorded_at", time)).transpose()?,
            },
        })
    }
}
