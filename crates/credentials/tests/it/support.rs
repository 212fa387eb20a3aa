//! The implementations under test, and a clock that the tests set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(feature = "sqlite")]
use crm_chat_credentials::SqliteCredentials;
use crm_chat_credentials::{
    CredentialStore, CredentialsError, Grant, Issued, MemoryCredentials, Scopes,
};
use crm_chat_domain::UserId;
pub(crate) use futures_lite::future::block_on;
use tempfile::TempDir;

/// A clock that only moves when a test advances it.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn as_fn(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.clone();
        // A fraction of a second must not matter.
        move || UNIX_EPOCH + Duration::from_secs(clock.seconds()) + Duration::from_millis(700)
    }
}

/// An implementation under test.
pub(crate) trait Implementation {
    type Store: CredentialStore + fmt::Debug;

    /// Opens an empty store that uses the system's clock, with its directory if it needs one.
    fn open() -> (Self::Store, Option<TempDir>);

    fn with_clock(store: Self::Store, clock: &ManualClock) -> Self::Store;

    fn wrong_guesses(store: &Self::Store) -> u64;

    /// Opens an empty store that uses a manual clock.
    fn open_with_clock(clock: &ManualClock) -> (Self::Store, Option<TempDir>) {
        let (store, directory) = Self::open();
        (Self::with_clock(store, clock), directory)
    }
}

pub(crate) struct MemoryUnderTest;

impl Implementation for MemoryUnderTest {
    type Store = MemoryCredentials;

    fn open() -> (MemoryCredentials, Option<TempDir>) {
        (MemoryCredentials::new().unwrap(), None)
    }

    fn with_clock(store: MemoryCredentials, clock: &ManualClock) -> MemoryCredentials {
        store.with_clock(clock.as_fn())
    }

    fn wrong_guesses(store: &MemoryCredentials) -> u64 {
        store.wrong_guesses()
    }
}

#[cfg(feature = "sqlite")]
pub(crate) struct SqliteUnderTest;

#[cfg(feature = "sqlite")]
impl Implementation for SqliteUnderTest {
    type Store = SqliteCredentials;

    fn open() -> (SqliteCredentials, Option<TempDir>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials.db");
        let store = block_on(SqliteCredentials::open_or_create(file)).unwrap();
        (store, Some(directory))
    }

    fn with_clock(store: SqliteCredentials, clock: &ManualClock) -> SqliteCredentials {
        store.with_clock(clock.as_fn())
    }

    fn wrong_guesses(store: &SqliteCredentials) -> u64 {
        store.wrong_guesses()
    }
}

pub(crate) fn user(id: i64) -> UserId {
    id.try_into().unwrap()
}

pub(crate) fn scopes(names: &[&str]) -> Scopes {
    names.iter().copied().collect()
}

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Issues a webhook with the scope `imopenlines`.
pub(crate) fn add_webhook(store: &impl CredentialStore, id: i64) -> Issued {
    block_on(store.add_webhook(user(id), scopes(&["imopenlines"]))).unwrap()
}

/// Issues a token with the scope `imopenlines` that is valid for an hour.
pub(crate) fn add_token(store: &impl CredentialStore, id: i64) -> Issued {
    block_on(store.add_token(user(id), scopes(&["imopenlines"]), HOUR)).unwrap()
}

/// Returns the expected verification of a valid credential.
pub(crate) fn granted(issued: &Issued) -> Verification {
    Verification::Granted(Grant {
        user: issued.credential.user,
        scopes: issued.credential.scopes.clone(),
        credential: issued.credential.id.clone(),
    })
}

/// The result of a verification, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    Granted(Grant),
    Invalid,
    Expired,
}

fn verification(result: Result<Grant, CredentialsError>) -> Verification {
    match result {
        Ok(grant) => Verification::Granted(grant),
        Err(CredentialsError::Invalid) => Verification::Invalid,
        Err(CredentialsError::Expired) => Verification::Expired,
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn verify_webhook(store: &impl CredentialStore, id: i64, secret: &str) -> Verification {
    verification(block_on(store.webhook(user(id), secret)))
}

pub(crate) fn verify_token(store: &impl CredentialStore, token: &str) -> Verification {
    verification(block_on(store.token(token)))
}
