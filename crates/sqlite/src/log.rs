//! The removal log.

use crm_chat_domain::{LogEntry, RemovalRecord, StoreError, UserId};
use crm_chat_sqlite_file::{corrupt, failed};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::value::Place;

/// A page of the removal log, and the state of the whole log at the moment of reading.
///
/// A follower that keeps the epoch beside the number of the last record that it has seen can tell
/// that its place in the log is lost: if the epoch is another one, or `pruned_through` is above its
/// number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPage {
    /// The name of this numbering, 32 hexadecimal digits. It is new whenever a snapshot is loaded,
    /// and in every backup.
    pub epoch: String,
    /// The number up to which records may have been deleted by
    /// [`Sqlite::prune_log`](crate::Sqlite::prune_log); 0 if none were.
    pub pruned_through: u64,
    /// The highest number that was ever given in this epoch; 0 if there is none.
    pub last: u64,
    /// The records.
    pub entries: Vec<LogEntry>,
}

const AFTER: &str = "SELECT sequence, chat, user, actor, kind, entity, new_owner, recorded_at
    FROM removals WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

/// Writes the records, numbered from 1, into an empty log.
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
    // Beyond SQLite's integers there is nothing to skip to, and no end.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(AFTER).map_err(failed(READ))?;
    let mut rows = statement.query([after, limit]).map_err(failed(READ))?;
    while let Some(row) = rows.next().map_err(failed(READ))? {
        let columns = Columns::read(row).map_err(failed(READ))?;
        each(columns.entry()?)?;
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

/// The state of the log's numbers.
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
            .map_err(failed(READ))?
            .ok_or_else(|| corrupt("settings", 1, "the row is missing"))
    }
}

/// The most records that are deleted in one transaction, which every writer waits for.
const CHUNK: i64 = 1000;

/// Deletes the lowest records numbered below `before`, a limited number of them. Returns how many,
/// and whether records may be left.
pub(crate) fn prune(connection: &Connection, before: u64) -> Result<(u64, bool), StoreError> {
    let failed = || failed("prune the removal log");
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let sql = "SELECT max(sequence) FROM
        (SELECT sequence FROM removals WHERE sequence < ?1 ORDER BY sequence LIMIT ?2)";
    let boundary: Option<i64> =
        connection.query_row(sql, [before, CHUNK], |row| row.get(0)).map_err(failed())?;
    let deleted = match boundary {
        Some(boundary) => connection
            .execute("DELETE FROM removals WHERE sequence <= ?1", [boundary])
            .map_err(failed())?,
        None => 0,
    };
    let more = i64::try_from(deleted).is_ok_and(|deleted| deleted >= CHUNK);
    let through = match boundary {
        Some(boundary) if more => boundary,
        // Numbers that were never given are not pruned: a record will have them.
        _ => Numbering::read(connection)?.last.min(before.saturating_sub(1)),
    };
    connection
        .execute("UPDATE settings SET pruned_through = ?1 WHERE pruned_through < ?1", [through])
        .map_err(failed())?;
    Ok((deleted.try_into().unwrap_or(u64::MAX), more))
}

/// Begins a new epoch. The numbers stay.
pub(crate) fn begin_epoch(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "UPDATE settings SET epoch = lower(hex(randomblob(16)))";
    connection.execute(sql, []).map(drop)
}

const READ: &str = "read the removal log";

struct Columns {
    sequence: i64,
    chat: i64,
    user: i64,
    actor: i64,
    kind: String,
    entity: i64,
    new_owner: Option<i64>,
    recorded_at: Option<String>,
}

impl Columns {
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
        let place = Place { table: "removals", key: self.sequence };
        let recorded_at = self.recorded_at.as_deref();
        Ok(LogEntry {
            sequence: self.sequence.unsigned_abs(),
            record: RemovalRecord {
                chat: place.id("chat", self.chat)?,
                user: place.id("user", self.user)?,
                actor: place.id("actor", self.actor)?,
                entity: place.entity(&self.kind, self.entity)?,
                new_owner: self.new_owner.map(|user| place.id("new_owner", user)).transpose()?,
                recorded_at: recorded_at
                    .map(|time| place.parse("recorded_at", time))
                    .transpose()?,
            },
        })
    }
}
