//! The implementations, and a clock that tests set.

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

/// A clock that stands still until it is moved on.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn move_on(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn reading(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.clone();
        // A fraction, which nothing may depend on.
        move || UNIX_EPOCH + Duration::from_secs(clock.seconds()) + Duration::from_millis(700)
    }
}

/// An implementation under test.
pub(crate) trait Subject {
    type Store: CredentialStore + fmt::Debug;

    /// Opens an empty store by the system's clock, in a folder if it needs one.
    fn open() -> (Self::Store, Option<TempDir>);

    fn with_clock(store: Self::Store, clock: &Clock) -> Self::Store;

    fn wrong_guesses(store: &Self::Store) -> u64;

    /// Opens an empty store by a clock.
    fn open_by(clock: &Clock) -> (Self::Store, Option<TempDir>) {
        let (store, folder) = Self::open();
        (Self::with_clock(store, clock), folder)
    }
}

pub(crate) struct Memory;

impl Subject for Memory {
    type Store = MemoryCredentials;

    fn open() -> (MemoryCredentials, Option<TempDir>) {
        (MemoryCredentials::new().unwrap(), None)
    }

    fn with_clock(store: MemoryCredentials, clock: &Clock) -> MemoryCredentials {
        store.with_clock(clock.reading())
    }

    fn wrong_guesses(store: &MemoryCredentials) -> u64 {
        store.wrong_guesses()
    }
}

#[cfg(feature = "sqlite")]
pub(crate) struct Sqlite;

#[cfg(feature = "sqlite")]
impl Subject for Sqlite {
    type Store = SqliteCredentials;

    fn open() -> (SqliteCredentials, Option<TempDir>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.db");
        let store = block_on(SqliteCredentials::open_or_create(file)).unwrap();
        (store, Some(folder))
    }

    fn with_clock(store: SqliteCredentials, clock: &Clock) -> SqliteCredentials {
        store.with_clock(clock.reading())
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

/// A webhook of a user with the scope `imopenlines`.
pub(crate) fn add_webhook(store: &impl CredentialStore, id: i64) -> Issued {
    block_on(store.add_webhook(user(id), scopes(&["imopenlines"]))).unwrap()
}

/// A token of a user with the scope `imopenlines`, good for an hour.
pub(crate) fn add_token(store: &impl CredentialStore, id: i64) -> Issued {
    block_on(store.add_token(user(id), scopes(&["imopenlines"]), HOUR)).unwrap()
}

/// What a credential grants as long as it is good.
pub(crate) fn grant(issued: &Issued) -> Grant {
    Grant {
        user: issued.credential.user,
        scopes: issued.credential.scopes.clone(),
        credential: issued.credential.id.clone(),
    }
}

/// What a store answered, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Granted(Grant),
    Invalid,
    Expired,
}

fn said(answer: Result<Grant, CredentialsError>) -> Said {
    match answer {
        Ok(grant) => Said::Granted(grant),
        Err(CredentialsError::Invalid) => Said::Invalid,
        Err(CredentialsError::Expired) => Said::Expired,
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn webhook(store: &impl CredentialStore, id: i64, secret: &str) -> Said {
    said(block_on(store.webhook(user(id), secret)))
}

pub(crate) fn token(store: &impl CredentialStore, token: &str) -> Said {
    said(block_on(store.token(token)))
}
