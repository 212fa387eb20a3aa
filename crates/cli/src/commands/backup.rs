//! `backup`: copies the store and the credentials while they are in use.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_lite::future::block_on;

use crate::commands::Run;
use crate::console::Console;
use crate::credentials::CredentialsFile;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

const HELP: &str = "\
A copy is a complete, checked snapshot; other programs may use the original
meanwhile. Copying the files by other means is not safe while they are in use.
A copy is readable by its owner only, and never replaces a file. The store and
the credentials are copied one after the other.

To restore, stop the programs that use the file, delete the files beside it
whose names end in `-wal` and `-shm`, and put the copy in its place. The log of
a restored store begins a new epoch. Webhooks and tokens that were revoked after
the backup are valid again until you revoke them again.";

/// Copy the store, the credentials or both, while they are in use
#[derive(Args)]
#[command(after_long_help = HELP)]
#[group(id = "copies", required = true, multiple = true, args = ["store_to", "credentials_to"])]
pub(crate) struct BackupArgs {
    /// New file to copy the store to
    #[arg(value_name = "FILE")]
    store_to: Option<PathBuf>,
    /// New file to copy the credentials to
    #[arg(long, value_name = "FILE")]
    credentials_to: Option<PathBuf>,
    #[command(flatten)]
    credentials: CredentialsFile,
}

impl Run for BackupArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        // Both are checked before anything is copied, so that bad usage leaves no half behind.
        let copies = [&self.store_to, &self.credentials_to];
        for file in copies.into_iter().flatten() {
            check_absent(file)?;
        }
        if let Some(file) = &self.store_to {
            block_on(store.open()?.backup(file))?;
            console.note(format_args!("copied {store} to `{}`", file.display()));
        }
        if let Some(file) = &self.credentials_to {
            let credentials = &self.credentials;
            block_on(credentials.open()?.backup(file))?;
            console.note(format_args!("copied {credentials} to `{}`", file.display()));
        }
        Ok(())
    }
}

fn check_absent(file: &Path) -> Result<(), CommandError> {
    // Not `exists`, which follows a symbolic link and misses a dangling one.
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let exists = CommandError::failed(format_args!("`{}` already exists", file.display()));
    Err(exists.with_hint("a backup never replaces a file; choose another name"))
}
