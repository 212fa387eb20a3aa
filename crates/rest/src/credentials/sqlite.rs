//! Credentials in a SQLite file of their own.

mod error;
mod file;
mod migrate;
mod row;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use blocking::unblock;
use crm_chat_domain::{StoreError, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use super::judge::Judge;
use super::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, Scopes,
};
use error::{failed, write_failed};
use file::Missing;
use row::Row;

/// Credentials in a SQLite file of their own, whatever the store of chats is.
///
/// Several handles, in one process or in many, may be open on one file: what one issues or revokes counts at once for
/// all. Bound to no runtime. A check runs in place, since it reads one row by an index; it waits neither for a disk to
/// write nor for whoever writes. What writes leaves the executor's thread.
pub struct SqliteCredentials {
    judge: Judge,
    /// For checks alone, so that they never wait for the other.
    reader: Mutex<Connection>,
    writer: Arc<Mutex<Connection>>,
}

impl SqliteCredentials {
    /// Opens a file of credentials, and brings it to this version's schema.
    ///
    /// # Errors
    /// - *unavailable*: there is no such file, it cannot be opened or written, or somebody else held it for too long;
    /// - *unsupported*: it is a SQLite database of another program or purpose, or of a newer version;
    /// - *corrupt*: it is no SQLite database, or damaged.
    ///
    /// A file that is refused is left as it is.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), Missing::Refused).await
    }

    /// Opens a file of credentials as [`open`](Self::open) does, and creates it if there is none. On Unix, only its
    /// owner may read a file that is created. Folders are not created.
    ///
    /// # Errors
    /// As for [`open`](Self::open), but that the file may be missing.
    pub async fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), Missing::Created).await
    }

    /// Replaces the clock, [`SystemTime::now`] by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            judge: self.judge.with_clock(clock),
            ..self
        }
    }

    /// Returns how many of the secrets and tokens presented to this handle so far were wrong. An expired token is not.
    #[must_use]
    pub fn wrong_guesses(&self) -> u64 {
        self.judge.wrong_guesses()
    }

    async fn open_file(path: &Path, missing: Missing) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let operation = format!("open the credentials `{}`", path.display());
        let open = move || {
            let (writer, reader) = file::open(&path, missing)?;
            Ok(Self {
                judge: Judge::new(row::key(&writer)?),
                reader: Mutex::new(reader),
                writer: Arc::new(Mutex::new(writer)),
            })
        };
        let opened: Result<_, StoreError> = unblock(open).await;
        opened.map_err(|error| error.with_operation(operation))
    }

    fn check(&self, user: Option<UserId>, secret: &str) -> Result<Grant, CredentialsError> {
        self.judge.judge(user, secret, |lookup| {
            let reader = lock(&self.reader);
            let mut found = reader
                .prepare_cached(row::FIND)
                .map_err(failed("check a credential"))?;
            found
                .query_row([lookup], Row::read)
                .optional()
                .map_err(failed("check a credential"))?
                .map(Row::record)
                .transpose()
        })
    }

    /// Does something with the connection that writes, on a thread that may wait.
    async fn write<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = Arc::clone(&self.writer);
        unblock(move || run(&lock(&writer))).await
    }

    async fn add(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<Issued, StoreError> {
        let draft = self.judge.draft(user, scopes, lifetime)?;
        self.write(move |writer| row::insert(writer, draft)).await
    }
}

/// No panic leaves a connection within a transaction: each statement is one.
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
        self.write(move |writer| row::list(writer, kind)).await
    }

    async fn revoke(&self, id: &CredentialId) -> Result<bool, StoreError> {
        let kinds = [CredentialKind::Webhook, CredentialKind::Token];
        let known = kinds
            .into_iter()
            .find_map(|kind| Some((kind, i64::try_from(kind.number(id)?).ok()?)));
        let Some((kind, number)) = known else {
            return Ok(false);
        };
        self.write(move |writer| {
            let sql = "DELETE FROM credentials WHERE kind = ?1 AND id = ?2";
            let deleted = writer.execute(sql, params![kind.as_str(), number]);
            Ok(deleted.map_err(write_failed("revoke a credential"))? == 1)
        })
        .await
    }
}

/// Shows nothing of what the file holds.
impl fmt::Debug for SqliteCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCredentials")
            .field("judge", &self.judge)
            .finish_non_exhaustive()
    }
}
