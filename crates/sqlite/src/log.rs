//! The removal log.

use crm_chat_domain::{LogEntry, RemovalRecord, StoreError, UserId};
use rusqlite::{Connection, Row, params};

use crate::error::failed;
use crate::value::Place;

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
    let failed = || failed("read the removal log");
    // Beyond SQLite's integers there is nothing to skip to, and no end.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(AFTER).map_err(failed())?;
    let mut rows = statement.query([after, limit]).map_err(failed())?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let columns = Columns::read(row).map_err(failed())?;
        entries.push(columns.entry()?);
    }
    Ok(entries)
}

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
        let place = Place {
            table: "removals",
            key: self.sequence,
        };
        let recorded_at = self.recorded_at.as_deref();
        Ok(LogEntry {
            sequence: self.sequence.unsigned_abs(),
            record: RemovalRecord {
                chat: place.id("chat", self.chat)?,
                user: place.id("user", self.user)?,
                actor: place.id("actor", self.actor)?,
                entity: place.entity(&self.kind, self.entity)?,
                new_owner: self
                    .new_owner
                    .map(|user| place.id("new_owner", user))
                    .transpose()?,
                recorded_at: recorded_at
                    .map(|time| place.parse("recorded_at", time))
                    .transpose()?,
            },
        })
    }
}
