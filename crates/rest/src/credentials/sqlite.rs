//! Credentials in a SQLite file of their own.

mod row;
mod schema;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use blocking::unblock;
use crm_chat_domain::{StoreError, UserId};
use crm_chat_sqlite_file::{DatabaseFile, OpenOptions, commit_failed, failed};
use rusqlite::TransactionBehavior::{self, Deferred, Immediate};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::judge::Judge;
use super::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, Scopes,
};
use row::Row;
use schema::SCHEMA;

/// The time that a write waits for other writers.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that a check waits for another process to recover the file after a crash. Short, since
/// it waits in place.
const CHECK_TIMEOUT: Duration = Duration::from_millis(100);

/// Credentials in a SQLite file of their own, whatever the store of chats is.
///
/// Several handles, in one process or in many, may be open on one file: what one issues or revokes
/// counts at once for all. Bound to no runtime. A check runs in place, since it reads one row by an
/// index; it waits neither for a disk to write nor for other writers. What writes leaves the
/// executor's thread.
///
/// If the file is replaced or deleted while it is open, everything fails as *unavailable*, since a
/// credential that is revoked in the new file is still there in the old one. If a newer program
/// migrates it, everything fails as *unsupported*.
pub struct SqliteCredentials {
    judge: Judge,
    file: Arc<DatabaseFile>,
    /// For checks alone, so that they never wait for a write.
    reader: Mutex<Connection>,
    writer: Arc<Mutex<Connection>>,
}

impl SqliteCredentials {
    /// Opens a file of credentials, and brings it to this version's schema.
    ///
    /// # Errors
    /// - *unavailable*: there is no such file or it is empty, it cannot be opened or written, on
    ///   Unix the group or others can read or write it, or another process held it for too long;
    /// - *unsupported*: it is a SQLite database of another program or purpose, or of a newer
    ///   version;
    /// - *corrupt*: it is not a SQLite database, or damaged.
    ///
    /// A file that is refused is left as it is.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), false).await
    }

    /// Opens a file of credentials as [`open`](Self::open) does, and creates it if it is missing or
    /// empty. On Unix, only its owner may read a file that is created. Directories are not created.
    ///
    /// # Errors
    /// As for [`open`](Self::open), but for a file that is missing or empty.
    pub async fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), true).await
    }

    /// Replaces the clock, [`SystemTime::now`] by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { judge: self.judge.with_clock(clock), ..self }
    }

    /// Returns how many of the secrets and tokens presented to this handle so far were wrong. An
    /// expired token is not.
    #[must_use]
    pub fn wrong_guesses(&self) -> u64 {
        self.judge.wrong_guesses()
    }

    /// Writes a copy of the file to a new one, which only its owner can read on Unix. Credentials
    /// may be issued and revoked meanwhile. The copy is of one state, checked and synced, and has
    /// the same key: every credential in it works.
    ///
    /// # Errors
    /// *unavailable* if the file exists already or cannot be written, *corrupt* if the credentials
    /// are damaged. There is no copy then.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref().to_owned();
        let operation = format!("back up the credentials to `{}`", path.display());
        let file = Arc::clone(&self.file);
        unblock(move || file.backup(&path, |_| Ok(())))
            .await
            .map_err(|error| error.with_operation(operation))
    }

    async fn open_file(path: &Path, create: bool) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let operation = format!("open the credentials `{}`", path.display());
        let open = move || {
            let options = OpenOptions { create, lock_timeout: LOCK_TIMEOUT };
            let (file, writer) = DatabaseFile::open(&path, &SCHEMA, options)?;
            Ok(Self {
                judge: Judge::new(row::key(&writer)?),
                reader: Mutex::new(file.open_reader(CHECK_TIMEOUT)?),
                writer: Arc::new(Mutex::new(writer)),
                file: Arc::new(file),
            })
        };
        let opened: Result<_, StoreError> = unblock(open).await;
        opened.map_err(|error| error.with_operation(operation))
    }

    fn check(&self, user: Option<UserId>, secret: &str) -> Result<Grant, CredentialsError> {
        self.judge.judge(user, secret, |lookup| {
            let reader = lock(&self.reader);
            let snapshot = begin(&self.file, &reader, Deferred, CHECK)?;
            let mut find = snapshot.prepare_cached(row::FIND).map_err(failed(CHECK))?;
            find.query_row([lookup], Row::read)
                .optional()
                .map_err(failed(CHECK))?
                .map(Row::record)
                .transpose()
        })
    }

    /// Runs something in a transaction, on a thread that may wait.
    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        operation: &'static str,
        run: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (file, writer) = (Arc::clone(&self.file), Arc::clone(&self.writer));
        unblock(move || {
            let writer = lock(&writer);
            let transaction = begin(&file, &writer, behavior, operation)?;
            let result = run(&transaction)?;
            transaction.commit().map_err(commit_failed(operation))?;
            Ok(result)
        })
        .await
    }

    async fn add(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<Issued, StoreError> {
        let draft = self.judge.draft(user, scopes, lifetime)?;
        self.transact(Immediate, "add a credential", move |writer| row::insert(writer, draft)).await
    }
}

/// Begins a transaction on a file that is still the one that was opened, and of the version that
/// was opened.
///
/// Both are checked each time: an operator may put a backup in the file's place or run a newer
/// program while the file is open, and a revocation must not be missed then.
fn begin<'a>(
    file: &DatabaseFile,
    connection: &'a Connection,
    behavior: TransactionBehavior,
    operation: &'static str,
) -> Result<Transaction<'a>, StoreError> {
    let transaction =
        Transaction::new_unchecked(connection, behavior).map_err(failed(operation))?;
    SCHEMA.check_version(&transaction).map_err(failed(operation))??;
    file.verify()?;
    Ok(transaction)
}

const CHECK: &str = "check a credential";
const REVOKE: &str = "revoke a credential";

/// No panic leaves a connection within a transaction: it is rolled back when it is dropped.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Credentials for SqliteCredentials {
    async fn webhook(&self, user: UserId, secret: &str) -> Result<Grant, CredentialsError> {
        self.check(Some(user), secret)
    }

    async fn token(&self, token: &str) -> Result<Grant, CredentialsError> {
        self.check(None, token)
    }
}

impl CredentialStore for SqliteCredentials {
    async fn add_webhook(&self, user: UserId, scopes: Scopes) -> Result<Issued, StoreError> {
        self.add(user, scopes, None).await
    }

    async fn add_token(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Duration,
    ) -> Result<Issued, StoreError> {
        self.add(user, scopes, Some(lifetime)).await
    }

    async fn list(&self, kind: CredentialKind) -> Result<Vec<Credential>, StoreError> {
        self.transact(Deferred, "list the credentials", move |writer| row::list(writer, kind)).await
    }

    async fn revoke(&self, id: &CredentialId) -> Result<bool, StoreError> {
        let kinds = [CredentialKind::Webhook, CredentialKind::Token];
        let known =
            kinds.into_iter().find_map(|kind| Some((kind, i64::try_from(kind.number(id)?).ok()?)));
        let Some((kind, number)) = known else {
            return Ok(false);
        };
        self.transact(Immediate, REVOKE, move |writer| {
            let sql = "DELETE FROM credentials WHERE kind = ?1 AND id = ?2";
            let deleted = writer.execute(sql, params![kind.as_str(), number]);
            Ok(deleted.map_err(failed(REVOKE))? == 1)
        })
        .await
    }
}

/// Shows nothing of what the file holds.
impl fmt::Debug for SqliteCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCredentials").field("judge", &self.judge).finish_non_exhaustive()
    }
}
