//! Credentials in a SQLite file of their own.

mod row;
mod schema;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use blocking::unblock;
use crm_chat_domain::{StoreError, UserId};
use crm_chat_sqlite_file::{DatabaseFile, OpenOptions, ResultExt};
use rusqlite::TransactionBehavior::{self, Deferred, Immediate};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::verifier::Verifier;
use crate::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, Scopes,
};
use row::CredentialRow;
use schema::SCHEMA;

/// The maximum wait of a write for other writers.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum wait of a verification for another process that recovers the file after a crash. It
/// is short because the wait blocks the calling thread.
const VERIFY_TIMEOUT: Duration = Duration::from_millis(100);

/// Credentials in a SQLite file of their own, independent of the store of the chats.
///
/// Several handles, in one process or in many, can be open on one file at the same time. A
/// credential that one of them issues or revokes is valid or invalid for all from that moment on.
/// Handles work with any async runtime. A verification reads one row by an index, so it runs on the
/// calling thread; it waits neither for the disk to write nor for other writers. Writes run on
/// another thread.
///
/// If the file is replaced or deleted while it is open, every method fails as *unavailable*,
/// because a credential that is revoked in the new file is still valid in the old one. If a newer
/// program migrates it, every method fails as *unsupported*.
pub struct SqliteCredentials {
    verifier: Verifier,
    file: Arc<DatabaseFile>,
    /// The connection for verification, which therefore never waits for a write.
    reader: Mutex<Connection>,
    writer: Arc<Mutex<Connection>>,
}

impl SqliteCredentials {
    /// Opens a file of credentials, and migrates it to the current schema.
    ///
    /// # Errors
    /// - *unavailable*: the file does not exist or is empty, cannot be opened or written, or
    ///   another process held it for too long; on Unix, also if the group or others can read or
    ///   write it;
    /// - *unsupported*: the file is a SQLite database of another program or for another purpose, or
    ///   of a newer version;
    /// - *corrupt*: the file is not a SQLite database, or is damaged.
    ///
    /// A refused file is not modified.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), false).await
    }

    /// Opens a file of credentials like [`open`](Self::open), and creates it if it is missing or
    /// empty. On Unix, only the owner can read and write a new file. Directories are not created.
    ///
    /// # Errors
    /// As for [`open`](Self::open), except that a missing or empty file is not an error.
    pub async fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_file(path.as_ref(), true).await
    }

    /// Replaces the clock, [`SystemTime::now`] by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { verifier: self.verifier.with_clock(clock), ..self }
    }

    /// Returns the number of wrong secrets and tokens presented to this handle so far. An expired
    /// token is not wrong.
    #[must_use]
    pub fn wrong_guesses(&self) -> u64 {
        self.verifier.wrong_guesses()
    }

    /// Writes a copy of the credentials to a new file, while others are issued and revoked. The
    /// copy is consistent, checked and synced; on Unix, only its owner can read it. It has the same
    /// key, so every credential in it is valid.
    ///
    /// # Errors
    /// *unavailable* if the file exists already or cannot be written, *corrupt* if the credentials
    /// are damaged. No copy is left behind.
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
                verifier: Verifier::new(row::key(&writer)?),
                reader: Mutex::new(file.open_reader(VERIFY_TIMEOUT)?),
                writer: Arc::new(Mutex::new(writer)),
                file: Arc::new(file),
            })
        };
        let opened: Result<_, StoreError> = unblock(open).await;
        opened.map_err(|error| error.with_operation(operation))
    }

    fn check(&self, user: Option<UserId>, secret: &str) -> Result<Grant, CredentialsError> {
        self.verifier.verify(user, secret, |lookup| {
            let reader = lock(&self.reader);
            // A deferred transaction that only reads is a snapshot. It takes no lock.
            let snapshot = begin(&self.file, &reader, Deferred, VERIFY)?;
            let mut find = snapshot.prepare_cached(row::FIND).context(VERIFY)?;
            find.query_row([lookup], CredentialRow::read)
                .optional()
                .context(VERIFY)?
                .map(CredentialRow::record)
                .transpose()
        })
    }

    /// Runs a transaction on a thread that may block.
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
            transaction.commit().commit_context(operation)?;
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
        let new = self.verifier.generate(user, scopes, lifetime)?;
        self.transact(Immediate, "add a credential", move |writer| row::insert(writer, new)).await
    }
}

/// Begins a transaction, and checks that the file has neither been replaced nor migrated since it
/// was opened.
///
/// An operator may restore a backup or run a newer program while the file is open. Without the
/// check, this handle would go on accepting credentials that were revoked elsewhere.
fn begin<'a>(
    file: &DatabaseFile,
    connection: &'a Connection,
    behavior: TransactionBehavior,
    operation: &'static str,
) -> Result<Transaction<'a>, StoreError> {
    let transaction = Transaction::new_unchecked(connection, behavior).context(operation)?;
    SCHEMA.check_version(&transaction).context(operation)??;
    // Verify the file after the first read, which takes the snapshot: if the file was replaced
    // before that, this detects it.
    file.verify()?;
    Ok(transaction)
}

const VERIFY: &str = "check a credential";
const REVOKE: &str = "revoke a credential";

/// Locks a connection. A panic cannot leave it within a transaction, which its drop rolls back.
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
        // This store never issues ids of another form.
        let Some((kind, number)) = known else {
            return Ok(false);
        };
        self.transact(Immediate, REVOKE, move |writer| {
            let sql = "DELETE FROM credentials WHERE kind = ?1 AND id = ?2";
            let deleted = writer.execute(sql, params![kind.as_str(), number]);
            Ok(deleted.context(REVOKE)? == 1)
        })
        .await
    }
}

/// Omits the contents of the file.
impl fmt::Debug for SqliteCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCredentials")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}
