//! The ports of the domain over a SQLite transaction.

use std::time::SystemTime;

use blocking::unblock;
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, OwnerChange, Permissions, Role, StoreError,
    StoreErrorKind, Timestamp, UnitOfWork, UserId, UserRepo,
};
use crm_chat_sqlite_file::{ResultExt, corrupt};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::columns::RowRef;
use crate::owned_transaction::OwnedTransaction;

/// A transaction on a [`Sqlite`](crate::Sqlite) store.
///
/// A transaction of [`begin`](crm_chat_domain::Store::begin) holds the write lock of the file. One
/// of [`begin_read`](crm_chat_domain::Store::begin_read) reads a snapshot, takes no lock and cannot
/// write.
///
/// Reads and the write take microseconds and run on the calling thread. A commit that has to wait
/// for the disk runs on another thread.
#[derive(Debug)]
pub struct SqliteTransaction {
    inner: OwnedTransaction,
    state: WriteState,
}

/// The state of a transaction's writes.
#[derive(Debug)]
enum WriteState {
    /// The transaction was begun for reading.
    ReadOnly,
    /// Nothing was written yet.
    Clean { durable: bool },
    /// Something was written. A `durable` commit waits for the disk.
    Written { durable: bool },
    /// A write failed, possibly after a part of it was made. The transaction can only be rolled
    /// back.
    Failed(StoreError),
}

/// The statements, collected here so that a test can check their query plans.
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
    /// Wraps a transaction that can write. If `durable` is `true`, its commit waits for the disk.
    pub(crate) const fn writing(inner: OwnedTransaction, durable: bool) -> Self {
        Self { inner, state: WriteState::Clean { durable } }
    }

    /// Wraps a transaction that only reads.
    pub(crate) const fn reading(inner: OwnedTransaction) -> Self {
        Self { inner, state: WriteState::ReadOnly }
    }

    /// Reads a row if there is one.
    fn query_optional<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.inner.prepare_cached(sql)?.query_row(params, read).optional()
    }

    /// Returns `true` if the query finds a row.
    fn exists(&self, sql: &str, params: impl Params) -> rusqlite::Result<bool> {
        self.inner.prepare_cached(sql)?.exists(params)
    }

    /// Runs a statement and returns the number of affected rows.
    fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.inner.prepare_cached(sql)?.execute(params)
    }

    /// Applies a change. Returns `false`, and writes nothing, if the user is not a member.
    fn apply(&self, change: &Change) -> rusqlite::Result<bool> {
        let (chat, user) = (change.chat.get(), change.user.get());
        if self.execute(sql::DELETE_MEMBER, [chat, user])? == 0 {
            return Ok(false);
        }
        // The owner is updated after the member is deleted, so a chat briefly has an owner who is
        // not a member. The foreign key is deferred for that reason.
        let new_owner = change.new_owner().map(UserId::get);
        if change.owner != OwnerChange::Unchanged {
            self.execute(sql::SET_OWNER, params![chat, new_owner])?;
        }
        // A clock outside the range of timestamps must not prevent a removal: the record goes
        // without.
        #[expect(clippy::disallowed_methods, reason = "the backend stamps its records")]
        let now = Timestamp::try_from(SystemTime::now()).ok().map(|now| now.to_string());
        let Entity { kind, id } = change.entity;
        self.execute(
            sql::RECORD,
            params![chat, user, change.actor.get(), kind.as_str(), id.get(), new_owner, now],
        )?;
        Ok(true)
    }
}

/// Returns `true` if the messenger is installed.
pub(crate) fn messenger_installed(connection: &Connection) -> Result<bool, StoreError> {
    connection
        .prepare_cached(sql::MESSENGER)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .context("check whether the messenger is installed")?
        .ok_or_else(|| corrupt("settings", 1, "the row is missing"))
}

impl UnitOfWork for SqliteTransaction {
    async fn commit(self) -> Result<(), StoreError> {
        let inner = self.inner;
        match self.state {
            // Only this commit syncs the file. The others are too short to be worth a change of
            // thread.
            WriteState::Written { durable: true } => unblock(move || inner.commit()).await,
            WriteState::ReadOnly | WriteState::Clean { .. } | WriteState::Written { .. } => {
                inner.commit()
            }
            // Dropping the transaction rolls back.
            WriteState::Failed(error) => {
                Err(StoreError::new(error.kind(), "commit a transaction").with_source(error))
            }
        }
    }

    async fn rollback(self) -> Result<(), StoreError> {
        self.inner.rollback()
    }
}

impl ChatRepo for SqliteTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        messenger_installed(&self.inner)
    }

    async fn role(&mut self, chat: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        let owns = self
            .query_optional(sql::ROLE, [chat.get(), user.get()], |row| row.get(0))
            .with_context(|| format!("check whether user {user} is in chat {chat}"))?;
        Ok(owns.map(|owns| if owns { Role::Owner } else { Role::Member }))
    }

    async fn successor(
        &mut self,
        chat: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        self.query_optional(sql::SUCCESSOR, [chat.get(), leaving.get()], |row| row.get(0))
            .with_context(|| format!("find the next owner of chat {chat}"))?
            .map(|user| {
                RowRef { table: "members", key: format_args!("({chat}, {user})") }.id("user", user)
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
        let applied = self.apply(change).context(operation);
        self.state = match &applied {
            Ok(_) => WriteState::Written { durable },
            Err(error) => WriteState::Failed(error.clone()),
        };
        applied
    }
}

impl CrmRepo for SqliteTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        let params = params![entity.kind.as_str(), entity.id.get()];
        self.query_optional(sql::LAST_CHAT, params, |row| row.get(0))
            .with_context(|| format!("find the last chat of {entity}"))?
            .map(|chat| RowRef { table: "links", key: entity }.id("chat", chat))
            .transpose()
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        self.exists(sql::LINK, params![entity.kind.as_str(), entity.id.get(), chat.get()])
            .with_context(|| format!("check whether chat {chat} belongs to {entity}"))
    }
}

impl UserRepo for SqliteTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        let active = self
            .query_optional(sql::ACTIVE, [user.get()], |row| row.get(0))
            .with_context(|| format!("check whether user {user} is active"))?;
        Ok(active.unwrap_or(false))
    }
}

impl Permissions for SqliteTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        self.exists(sql::ACCESS, params![actor.get(), entity.kind.as_str(), entity.id.get()])
            .with_context(|| format!("check whether user {actor} has access to {entity}"))
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        _entity: Entity,
    ) -> Result<bool, StoreError> {
        self.exists(sql::REMOVER, [actor.get(), chat.get()]).with_context(|| {
            format!("check whether user {actor} may remove users from chat {chat}")
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::sql;
    use crate::Sqlite;
    use crate::owned_transaction::{OwnedTransaction, TransactionMode};

    /// Returns the query plan of a statement, one step per line.
    fn plan(sql: &str) -> String {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            let transaction = OwnedTransaction::begin(&store, TransactionMode::Read).await.unwrap();
            let mut statement = transaction.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
            steps.map(|step| step.unwrap() + "\n").collect()
        })
    }

    #[test]
    fn no_statement_of_a_removal_scans_or_sorts() {
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
    fn plan_of_a_scan_contains_scan() {
        assert!(plan("SELECT 1 FROM members WHERE user = 1").contains("SCAN"));
        assert!(plan(sql::MESSENGER).contains("SCAN settings"), "the one-row table is scanned");
    }
}
