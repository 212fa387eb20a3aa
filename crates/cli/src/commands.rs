//! The commands, one module each.

mod apply;
mod backup;
mod demo;
mod edit;
mod explain;
mod export;
mod import;
mod log;
mod remove;
mod serve;
mod token;
mod webhook;

use clap::Subcommand;

use crate::console::Console;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

/// A command of the program, with its arguments.
///
/// The help of each is on the type of its arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Edit(edit::EditArgs),
    Remove(remove::RemoveArgs),
    Explain(explain::ExplainArgs),
    Apply(apply::ApplyArgs),
    Log(log::LogArgs),
    Backup(backup::BackupArgs),
    Serve(serve::ServeArgs),
    Webhook(webhook::WebhookArgs),
    Token(token::TokenArgs),
}

/// Runs a command with its parsed arguments.
trait Run {
    /// Runs the command on a store, and prints to the console.
    ///
    /// # Errors
    /// [`CommandError`] with the message and the exit status.
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError>;
}

impl Command {
    pub(crate) fn run(
        &self,
        store: &StoreUrl,
        console: &mut Console<'_>,
    ) -> Result<(), CommandError> {
        let command: &dyn Run = match self {
            Self::Demo(args) => args,
            Self::Import(args) => args,
            Self::Export(args) => args,
            Self::Edit(args) => args,
            Self::Remove(args) => args,
            Self::Explain(args) => args,
            Self::Apply(args) => args,
            Self::Log(args) => args,
            Self::Backup(args) => args,
            Self::Serve(args) => args,
            Self::Webhook(args) => args,
            Self::Token(args) => args,
        };
        command.run(store, console)
    }
}
