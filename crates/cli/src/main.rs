//! `crm-chat`: removes users from the chats of CRM entities and manages the store.
//!
//! The program parses arguments, reads files and prints answers. The rules are in the domain crate.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod console;
mod credentials;
mod error;
mod lines;
mod reply;
mod sample;
mod source;
mod store_url;

use std::io::{self, BufWriter};
use std::process::ExitCode;

use args::Cli;
use clap::Parser;
use console::Console;
use error::CommandError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(io::stdout());
    let mut err = io::stderr();
    let mut console = Console { out: &mut out, err: &mut err };
    let result = cli.run(&mut console);
    // Flush even after an error: a command may have printed answers before it failed.
    let flushed = console.out.flush().map_err(CommandError::from);
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(console.err);
            ExitCode::from(error.exit_status())
        }
    }
}
