//! Where the store is.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

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
        block_on(Sqlite::options().create(false).open(&self.path)).map_err(|error| {
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
