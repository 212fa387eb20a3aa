//! `log`: prints and prunes the removal log.

use clap::{Args, Subcommand};
use crm_chat_domain::LogEntry;
use crm_chat_sqlite::LogPage;
use futures_lite::future::block_on;
use serde::Serialize;

use crate::commands::Run;
use crate::console::{Console, count};
use crate::error::CommandError;
use crate::store_url::StoreUrl;

const HELP: &str = "\
Prints one line for each removal, oldest first, with its epoch, sequence number
and time. To follow the log, keep the epoch and the number of the last record
that you have seen, and continue with `--epoch E --after N`: later records have
higher numbers. A new epoch begins when a document is imported or a backup is
restored; numbers of different epochs cannot be compared. If you can no longer
continue, because the epoch has ended or because records were pruned, the exit
status is 1 and standard error says what to do.";

const PRUNE_HELP: &str = "\
The other records keep their numbers, and numbers are never reused. A follower
that has not seen all of the pruned records gets an error.";

/// The most records in memory at once.
const PAGE: usize = 1000;

/// Print the removal log as JSON lines, or prune it
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct LogArgs {
    /// Print only records with a higher sequence number [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    after: Option<u64>,
    /// Fail if the log has another epoch
    #[arg(long, value_name = "E")]
    epoch: Option<String>,
    #[command(subcommand)]
    command: Option<LogCommand>,
}

#[derive(Subcommand)]
enum LogCommand {
    /// Delete the oldest records of the log permanently
    #[command(after_long_help = PRUNE_HELP)]
    Prune {
        /// Delete records with a lower sequence number
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        before: u64,
    },
}

/// A record of the log, as it is printed.
#[derive(Serialize)]
struct LogLine<'a> {
    epoch: &'a str,
    #[serde(flatten)]
    entry: &'a LogEntry,
}

impl Run for LogArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        match self.command {
            // Checked here because clap's `args_conflicts_with_subcommands` would also reject the
            // global `--store` in this position.
            Some(_) if self.after.is_some() || self.epoch.is_some() => {
                Err(CommandError::failed("`--after` and `--epoch` cannot be used with `log prune`"))
            }
            Some(LogCommand::Prune { before }) => prune(store, before, console),
            None => self.print(store, console),
        }
    }
}

impl LogArgs {
    fn print(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let store = store.open()?;
        let (mut epoch, mut after) = (self.epoch.clone(), self.after.unwrap_or(0));
        loop {
            let page = block_on(store.log_page(after, PAGE))?;
            // Checked for each page: another program may import or prune between two pages.
            check_position(&page, epoch.as_deref(), after)?;
            for entry in &page.entries {
                console.print_json(&LogLine { epoch: &page.epoch, entry })?;
            }
            match page.entries.last() {
                Some(entry) if page.entries.len() == PAGE => after = entry.sequence,
                _ => return Ok(()),
            }
            epoch = Some(page.epoch);
        }
    }
}

/// Checks that the page continues the log for a reader that has seen record `after` of an epoch.
fn check_position(page: &LogPage, epoch: Option<&str>, after: u64) -> Result<(), CommandError> {
    let LogPage { epoch: current, pruned_through, last, .. } = page;
    if epoch.is_some_and(|epoch| epoch != current) {
        let refused = CommandError::refused(format_args!(
            "the log's epoch is {current}: a document was imported or a backup restored, and \
             numbers of earlier epochs are no longer valid"
        ));
        return Err(refused.with_hint(format!(
            "read the store again with `crm-chat export`, then the log with \
             `crm-chat log --epoch {current}`"
        )));
    }
    if after > *last {
        let refused = CommandError::refused(format_args!(
            "there is no record {after}: {last} is the last number of this epoch"
        ));
        return Err(refused.with_hint(
            "if you have seen that record, the store was replaced by an older one: read it again \
             with `crm-chat export`",
        ));
    }
    // A reader at 0 has seen no record and expects none, so pruned records are no gap for it.
    if after > 0 && after < *pruned_through {
        let refused = CommandError::refused(format_args!(
            "records after {after} are gone: the log was pruned up to {pruned_through}"
        ));
        return Err(refused.with_hint(format!(
            "`--after {pruned_through}` prints the remaining records; to miss nothing, read the \
             store again with `crm-chat export`"
        )));
    }
    Ok(())
}

fn prune(store: &StoreUrl, before: u64, console: &mut Console<'_>) -> Result<(), CommandError> {
    let pruned = block_on(store.open()?.prune_log(before))?;
    console.note(format_args!("pruned {}", count(pruned, "log record")));
    Ok(())
}
