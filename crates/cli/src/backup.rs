//! `backup`: copies the store and the credentials while they are in use.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_lite::future::block_on;

use crate::console::Console;
use crate::credentials::CredentialsFile;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
A copy is of one moment, complete and checked, and others may use the original
meanwhile. Copying the files by other means is not safe while they are in use.
Only you can read a copy, and no file is ever replaced by one. Store and
credentials are copied one after the other.

To restore, stop the programs that use the file, delete its companions that end
in `-wal` and `-shm`, and put the copy in its place. A restored store has a log
of a new epoch; webhooks and tokens that were revoked after the backup work
again, until they are revoked again.";

#[derive(Args)]
#[group(id = "copies", required = true, multiple = true, args = ["store_to", "credentials_to"])]
pub(crate) struct Backup {
    /// The new file that the store is copied to
    #[arg(value_name = "FILE")]
    store_to: Option<PathBuf>,
    /// The new file that the credentials are copied to
    #[arg(long, value_name = "FILE")]
    credentials_to: Option<PathBuf>,
    #[command(flatten)]
    credentials: CredentialsFile,
}

impl Backup {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
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

/// Reports a file that is in the way as bad usage, before anything is copied.
fn check_absent(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let failure = Failure::input(format_args!("`{}` exists already", file.display()));
    Err(failure.with_hint("a backup never replaces a file: name another"))
}
