//! `export`: prints the content of the store as a document.

mod document;
mod formatter;

use std::io;

use clap::Args;
use futures_lite::future::block_on;
use serde::Serialize;

use self::document::ExportDocument;
use self::formatter::ExportFormatter;
use crate::commands::Run;
use crate::console::Console;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

const HELP: &str = "\
Prints a document that `import` accepts; importing it gives the same store. Each
user, chat, link and so on is on a line of its own, in a fixed order, so two
exports can be compared with `diff`. The document is a consistent snapshot:
other programs may change the store meanwhile.";

/// Print the content of the store as a JSON document
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ExportArgs {}

impl Run for ExportArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let document = ExportDocument::new(block_on(store.open()?.export())?);
        let formatter = ExportFormatter::default();
        let mut json = serde_json::Serializer::with_formatter(&mut console.out, formatter);
        let printed = document.serialize(&mut json);
        // A storage failure ends the serializer too, with an error that says nothing about it.
        if let Some(error) = document.into_store_error() {
            return Err(error.into());
        }
        printed.map_err(io::Error::from)?;
        writeln!(console.out)?;
        Ok(())
    }
}
