//! Where the store is.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use crm_chat_domain::{StoreError, Transaction, UserId, Work, transact_read};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::failure::Failure;

/// Names a store: `sqlite:PATH`.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl {
    path: PathBuf,
}

impl StoreUrl {
    /// Names the store in a file.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reports whether the file's mode lets other users read, lock or change the store.
    pub(crate) fn is_open_to_others(&self) -> bool {
        let metadata = self.path.metadata();
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }

    /// Opens the store, which must exist.
    pub(crate) fn open(&self) -> Result<Sqlite, Failure> {
        self.try_open().map_err(|error| {
            let failure = Failure::from(error);
            if self.path.exists() {
                failure
            } else {
                failure.with_hint(
                    "`crm-chat import FILE` creates a store; `--store` or `CRM_CHAT_STORE` names another",
                )
            }
        })
    }

    fn try_open(&self) -> Result<Sqlite, StoreError> {
        block_on(Sqlite::options().create(false).open(&self.path))
    }

    /// Asks the store, which is not created, whether a user is active.
    pub(crate) fn is_active(&self, user: UserId) -> Result<bool, StoreError> {
        block_on(transact_read(&self.try_open()?, &IsActive(user)))
    }

    /// Opens the store; creates it if there is none.
    pub(crate) fn open_or_create(&self) -> Result<Sqlite, Failure> {
        block_on(Sqlite::open(&self.path)).map_err(|error| {
            let failure = Failure::from(error);
            match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                    failure.with_hint(format!("make the folder `{}` first", folder.display()))
                }
                _ => failure,
            }
        })
    }
}

struct IsActive(UserId);

impl<T: Transaction> Work<T> for IsActive {
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
            Some(path) if path.starts_with("//") && !path.starts_with("///") => {
                let path = path.trim_start_matches('/');
                return Err(format!("a path follows the colon, as in `sqlite:{path}`"));
            }
            Some(path) if !path.is_empty() => path,
            _ => return Err("a store is written as `sqlite:PATH`".to_owned()),
        };
        Ok(Self::file(path.into()))
    }
}
