//! `crm-chat`: removes users from the chats of CRM entities, explains why it would or would not, and keeps the store.
//!
//! The program is thin: it reads arguments and files, and prints answers. The rules are the domain's.

#![forbid(unsafe_code)]

mod apply;
mod args;
mod backup;
mod console;
mod credentials;
mod demo;
mod edit;
mod explain;
mod export;
mod failure;
mod import;
mod lines;
mod log;
mod logging;
mod remove;
mod reply;
mod sample;
mod serve;
mod source;
mod store_url;

use std::io::{self, BufWriter};
use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use console::Console;
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(io::stdout());
    let mut err = io::stderr();
    let mut console = Console { out: &mut out, err: &mut err };
    let result = run(&cli, &mut console);
    let flushed = console.out.flush().map_err(Failure::from);
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(console.err);
            ExitCode::from(failure.status)
        }
    }
}

/// Runs one command.
///
/// # Errors
/// [`Failure`] with what to say and the exit status.
fn run(cli: &Cli, console: &mut Console<'_>) -> Result<(), Failure> {
    let store = &cli.store;
    match &cli.command {
        Command::Demo => demo::run(console),
        Command::Import(args) => args.run(store, console),
        Command::Export => export::run(store, console),
        Command::Edit { file } => edit::run(store, file, console),
        Command::Remove(args) => remove::run(store, args, console),
        Command::Explain(args) => explain::run(store, args, console),
        Command::Apply { file } => apply::run(store, file, console),
        Command::Log(args) => args.run(store, console),
        Command::Backup(args) => args.run(store, console),
        Command::Serve(args) => args.run(store, console),
        Command::Webhook(webhook) => webhook.run(store, console),
        Command::Token(token) => token.run(store, console),
    }
}
