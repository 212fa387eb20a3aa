//! The location of the store.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use crm_chat_domain::{StoreError, Transaction, UserId, Work, transact_read};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::error::CommandError;

/// The location of a store, written as `sqlite:PATH`.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl {
    path: PathBuf,
}

impl StoreUrl {
    /// Returns the location of a store in a SQLite file.
    pub(crate) fn sqlite(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns `true` if the file's mode lets other users read, lock or change the store.
    pub(crate) fn is_open_to_others(&self) -> bool {
        let metadata = self.path.metadata();
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }

    /// Opens the store, which must exist.
    pub(crate) fn open(&self) -> Result<Sqlite, CommandError> {
        self.open_existing().map_err(|error| {
            let error = CommandError::from(error);
            if self.path.exists() {
                error
            } else {
                error.with_hint(
                    "`crm-chat import FILE` creates a store; `--store` or `CRM_CHAT_STORE` selects \
                     another",
                )
            }
        })
    }

    /// Opens the store, or creates it.
    pub(crate) fn open_or_create(&self) -> Result<Sqlite, CommandError> {
        block_on(Sqlite::open(&self.path)).map_err(|error| {
            let error = CommandError::from(error);
            match self.path.parent() {
                Some(directory) if !directory.as_os_str().is_empty() && !directory.exists() => {
                    error.with_hint(format!("create the directory `{}` first", directory.display()))
                }
                _ => error,
            }
        })
    }

    /// Returns `true` if the user is known and active. The store must exist.
    pub(crate) fn is_active(&self, user: UserId) -> Result<bool, StoreError> {
        block_on(transact_read(&self.open_existing()?, &ReadActivity(user)))
    }

    fn open_existing(&self) -> Result<Sqlite, StoreError> {
        block_on(Sqlite::options().create(false).open(&self.path))
    }
}

/// Reads whether one user is active, in a transaction of its own.
struct ReadActivity(UserId);

impl<T: Transaction> Work<T> for ReadActivity {
    type Output = bool;

    async fn run(&self, tx: &mut T) -> Result<bool, StoreError> {
        tx.is_active(self.0).await
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let path = match url.strip_prefix("sqlite:") {
            // In a URL, `a.db` in `sqlite://a.db` would be a host. After three slashes, there is an
            // absolute path either way.
            Some(path) if path.starts_with("//") && !path.starts_with("///") => {
                let path = path.trim_start_matches('/');
                return Err(format!("expected a path after the colon, as in `sqlite:{path}`"));
            }
            Some(path) if !path.is_empty() => path,
            _ => return Err("expected `sqlite:PATH`".to_owned()),
        };
        Ok(Self::sqlite(path.into()))
    }
}
