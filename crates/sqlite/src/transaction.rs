//! The ports.

use std::time::SystemTime;

use blocking::unblock;
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, OwnerChange, Permissions, Role, StoreError,
    StoreErrorKind, Timestamp, UnitOfWork, UserId, UserRepo,
};
use crm_chat_sqlite_file::{corrupt, failed};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::session::Session;
use crate::value::Place;

/// A transaction on a [`Sqlite`](crate::Sqlite) store. Begun by
/// [`begin`](crm_chat_domain::Store::begin) it holds the file's write lock; begun by
/// [`begin_read`](crm_chat_domain::Store::begin_read) it is a snapshot that takes no lock and
/// cannot write.
///
/// Its reads and its write take microseconds and run in place; a commit that must wait for the disk
/// does so on another thread.
#[derive(Debug)]
pub struct SqliteTransaction {
    session: Session,
    state: WriteState,
}

/// The state of a transaction's writes.
#[derive(Debug)]
enum WriteState {
    ReadOnly,
    /// Nothing was written yet.
    Clean {
        durable: bool,
    },
    /// Something was written. A `durable` commit waits for a disk.
    Written {
        durable: bool,
    },
    /// A write failed and may have been made in part, so the transaction can only be rolled back.
    Failed(StoreError),
}

mod sql {
    pub(super) const MESSENGER: &str = "SELECT messenger_installed FROM settings";
    pub(super) const ROLE: &str = "SELECT chats.owner IS members.user
        FROM members JOIN chats ON chats.id = members.chat
        WHERE members.chat = ?1 AND members.user = ?2";
    pub(super) const SUCCESSOR: &str = "SELECT members.user
        FROM members JOIN users ON users.id = members.user
        WHERE members.chat = ?1 AND members.user <> ?2 AND users.active AND users.kind = 'human'
        ORDER BY members.position LIMIT 1";
    pub(super) const DELETE_MEMBER: &str = "DELETE FROM members WHERE chat = ?1 AND user = ?2";
    pub(super) const SET_OWNER: &str = "UPDATE chats SET owner = ?2 WHERE id = ?1";
    pub(super) const RECORD: &str = "INSERT INTO removals
        (chat, user, actor, kind, entity, new_owner, recorded_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    pub(super) const LAST_CHAT: &str = "SELECT chat FROM links
        WHERE kind = ?1 AND entity = ?2 ORDER BY position DESC LIMIT 1";
    pub(super) const LINK: &str =
        "SELECT 1 FROM links WHERE kind = ?1 AND entity = ?2 AND chat = ?3";
    pub(super) const ACTIVE: &str = "SELECT active FROM users WHERE id = ?1";
    pub(super) const ACCESS: &str =
        "SELECT 1 FROM access WHERE user = ?1 AND kind = ?2 AND entity = ?3";
    pub(super) const REMOVER: &str = "SELECT 1 FROM removers WHERE user = ?1 AND chat = ?2";
}

impl SqliteTransaction {
    /// Wraps a session for writing. `durable` says whether a commit waits for a disk.
    pub(crate) const fn writing(session: Session, durable: bool) -> Self {
        Self { session, state: WriteState::Clean { durable } }
    }

    /// Wraps a session for reading.
    pub(crate) const fn reading(session: Session) -> Self {
        Self { session, state: WriteState::ReadOnly }
    }

    /// Reads one row, if there is one.
    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.session.prepare_cached(sql)?.query_row(params, read).optional()
    }

    /// Checks whether there is a row.
    fn any(&self, sql: &str, params: impl Params) -> rusqlite::Result<bool> {
        self.session.prepare_cached(sql)?.exists(params)
    }

    /// Writes, and returns how many rows were affected.
    fn write(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.session.prepare_cached(sql)?.execute(params)
    }

    fn make(&self, change: &Change) -> rusqlite::Result<bool> {
        let (chat, user) = (change.chat.get(), change.user.get());
        if self.write(sql::DELETE_MEMBER, [chat, user])? == 0 {
            return Ok(false);
        }
        let new_owner = change.new_owner().map(UserId::get);
        if change.owner != OwnerChange::Unchanged {
            self.write(sql::SET_OWNER, params![chat, new_owner])?;
        }
        let now = Timestamp::try_from(SystemTime::now()).ok().map(|now| now.to_string());
        let Entity { kind, id } = change.entity;
        self.write(
            sql::RECORD,
            params![chat, user, change.actor.get(), kind.as_str(), id.get(), new_owner, now],
        )?;
        Ok(true)
    }
}

/// Reads the settings' one row.
pub(crate) fn messenger_installed(connection: &Connection) -> Result<bool, StoreError> {
    connection
        .prepare_cached(sql::MESSENGER)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .map_err(failed("check whether the messenger is installed"))?
        .ok_or_else(|| corrupt("settings", 1, "the row is missing"))
}

impl UnitOfWork for SqliteTransaction {
    async fn commit(self) -> Result<(), StoreError> {
        let session = self.session;
        match self.state {
            WriteState::Written { durable: true } => unblock(move || session.commit()).await,
            WriteState::ReadOnly | WriteState::Clean { .. } | WriteState::Written { .. } => {
                session.commit()
            }
            // Dropping the session rolls back.
            WriteState::Failed(error) => {
                Err(StoreError::new(error.kind(), "commit a transaction").with_source(error))
            }
        }
    }

    async fn rollback(self) -> Result<(), StoreError> {
        self.session.rollback()
    }
}

impl ChatRepo for SqliteTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        messenger_installed(&self.session)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let owns = self.one(sql::ROLE, [chat.get(), user.get()], |row| row.get(0));
        let owns = owns.map_err(|error| {
            failed(format!("check whether user {user} is in chat {chat}"))(error)
        })?;
        Ok(owns.map(|owns| if owns { Role::Owner } else { Role::Member }))
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        self.one(sql::SUCCESSOR, [chat.get(), leaving.get()], |row| row.get(0))
            .map_err(|error| failed(format!("find the next owner of chat {chat}"))(error))?
            .map(|user| {
                Place { table: "members", key: format_args!("({chat}, {user})") }.id("user", user)
            })
            .transpose()
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        let Change { user, chat, .. } = change;
        let operation = format!("remove user {user} from chat {chat}");
        let durable = match &self.state {
            WriteState::Clean { durable } | WriteState::Written { durable } => *durable,
            WriteState::ReadOnly => {
                return Err(StoreError::new(StoreErrorKind::Unsupported, operation)
                    .with_source("the transaction was begun for reading"));
            }
            WriteState::Failed(error) => return Err(error.clone()),
        };
        let made = self.make(change).map_err(failed(operation));
        self.state = match &made {
            Ok(_) => WriteState::Written { durable },
            Err(error) => WriteState::Failed(error.clone()),
        };
        made
    }
}

impl CrmRepo for SqliteTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        let params = params![entity.kind.as_str(), entity.id.get()];
        self.one(sql::LAST_CHAT, params, |row| row.get(0))
            .map_err(|error| failed(format!("find the last chat of {entity}"))(error))?
            .map(|chat| Place { table: "links", key: entity }.id("chat", chat))
            .transpose()
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        self.any(sql::LINK, params![entity.kind.as_str(), entity.id.get(), chat.get()]).map_err(
            |error| failed(format!("check whether chat {chat} belongs to {entity}"))(error),
        )
    }
}

impl UserRepo for SqliteTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let active = self.one(sql::ACTIVE, [user.get()], |row| row.get(0));
        let active = active
            .map_err(|error| failed(format!("check whether user {user} is active"))(error))?;
        Ok(active.unwrap_or(false))
    }
}

impl Permissions for SqliteTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        self.any(sql::ACCESS, params![actor.get(), entity.kind.as_str(), entity.id.get()]).map_err(
            |error| failed(format!("check whether user {actor} has access to {entity}"))(error),
        )
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        _entity: Entity,
    ) -> Result<bool, StoreError> {
        self.any(sql::REMOVER, [actor.get(), chat.get()]).map_err(|error| {
            failed(format!("check whether user {actor} may remove users from chat {chat}"))(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::sql;
    use crate::Sqlite;
    use crate::session::{Purpose, Session};

    /// SQLite's plan for a statement, one step a line.
    fn plan(sql: &str) -> String {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            let session = Session::begin(&store, Purpose::Reading).await.unwrap();
            let mut statement = session.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
            steps.map(|step| step.unwrap() + "\n").collect()
        })
    }

    #[test]
    fn no_rule_scans_a_table_or_sorts() {
        for sql in [
            sql::ROLE,
            sql::SUCCESSOR,
            sql::DELETE_MEMBER,
            sql::SET_OWNER,
            sql::LAST_CHAT,
            sql::LINK,
            sql::ACTIVE,
            sql::ACCESS,
            sql::REMOVER,
        ] {
            let plan = plan(sql);
            assert!(plan.contains("SEARCH"), "{sql}\n{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }

    #[test]
    fn the_plan_of_a_scan_says_so() {
        assert!(plan("SELECT 1 FROM members WHERE user = 1").contains("SCAN"));
        assert!(plan(sql::MESSENGER).contains("SCAN settings"), "the one table of one row");
    }
}
