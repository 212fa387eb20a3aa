//! `log`: prints and prunes the removal log.

use clap::{Args, Subcommand};
use crm_chat_domain::LogEntry;
use crm_chat_sqlite::LogPage;
use futures_lite::future::block_on;
use serde::Serialize;

use crate::console::{Console, count};
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
A line for each removal, oldest first, with its epoch, sequence number and time.
To follow the log, keep the epoch and the number of the last record that you
have seen, and continue with `--epoch E --after N`: a later record never has a
lower number. An epoch ends when a document is imported or a backup is restored,
and numbers from different epochs do not compare. If your place in the log is
lost, because the epoch has ended or because records were pruned, the exit
status is 1 and standard error says what to do.";

const PRUNE_HELP: &str = "\
The numbers of the other records stay as they are, and no number is given again.
A follower that has not seen all of the pruned records gets an error.";

/// The most records in memory at once.
const PAGE: usize = 1000;

#[derive(Args)]
pub(crate) struct Log {
    /// Only the records with a higher sequence number [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    after: Option<u64>,
    /// Fails if the log is not of this epoch
    #[arg(long, value_name = "E")]
    epoch: Option<String>,
    #[command(subcommand)]
    command: Option<LogCommand>,
}

#[derive(Subcommand)]
enum LogCommand {
    /// Deletes the oldest records of the log for good
    #[command(after_long_help = PRUNE_HELP)]
    Prune {
        /// Deletes the records with a lower sequence number
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        before: u64,
    },
}

/// A record as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    epoch: &'a str,
    #[serde(flatten)]
    entry: &'a LogEntry,
}

impl Log {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        match self.command {
            // Clap's own conflict of arguments with subcommands takes `--store` for one of `log`.
            Some(_) if self.after.is_some() || self.epoch.is_some() => {
                Err(Failure::input("`--after` and `--epoch` cannot be used with `log prune`"))
            }
            Some(LogCommand::Prune { before }) => prune(store, before, console),
            None => self.print(store, console),
        }
    }

    fn print(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        let store = store.open()?;
        let (mut epoch, mut after) = (self.epoch.clone(), self.after.unwrap_or(0));
        loop {
            let page = block_on(store.log_page(after, PAGE))?;
            // Asked of each page: others may import a document or prune the log meanwhile.
            check_place(&page, epoch.as_deref(), after)?;
            for entry in &page.entries {
                let epoch = &page.epoch;
                console.json(&Line { epoch, entry })?;
            }
            match page.entries.last() {
                Some(entry) if page.entries.len() == PAGE => after = entry.sequence,
                _ => return Ok(()),
            }
            epoch = Some(page.epoch);
        }
    }
}

/// Checks that the records after a number of an epoch are those that follow it.
fn check_place(page: &LogPage, epoch: Option<&str>, after: u64) -> Result<(), Failure> {
    let LogPage { epoch: current, pruned_through, last, .. } = page;
    if epoch.is_some_and(|epoch| epoch != current) {
        let refused = Failure::refused(format_args!(
            "the log's epoch is {current}: a document was imported or a backup restored, and the \
             numbers of the former epoch are void"
        ));
        return Err(refused.with_hint(format!(
            "read the store anew, by `crm-chat export`, and then the log by \
             `crm-chat log --epoch {current}`"
        )));
    }
    if after > *last {
        let refused = Failure::refused(format_args!(
            "there is no record {after}: {last} is the last number of this epoch"
        ));
        return Err(refused.with_hint(
            "if you have seen that record, the store was replaced by an older one: read it anew, \
             by `crm-chat export`",
        ));
    }
    // 0 is the place of a reader that has seen nothing, and so misses nothing that it relies on.
    if after > 0 && after < *pruned_through {
        let refused = Failure::refused(format_args!(
            "records after {after} are gone: the log was pruned up to {pruned_through}"
        ));
        return Err(refused.with_hint(format!(
            "`--after {pruned_through}` prints what is left; to miss nothing, read the store \
             anew, by `crm-chat export`"
        )));
    }
    Ok(())
}

fn prune(store: &StoreUrl, before: u64, console: &mut Console<'_>) -> Result<(), Failure> {
    let pruned = block_on(store.open()?.prune_log(before))?;
    console.note(format_args!("pruned {}", count(pruned, "log record")));
    Ok(())
}
