//! `export`: prints the store's content as a document.

mod document;
mod layout;

use std::io;

use futures_lite::future::block_on;
use serde::Serialize;

use self::document::Document;
use self::layout::Layout;
use crate::console::Console;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
The document is the one that `import` reads, and importing it gives the same
store. One line a user, chat, link and so on, in a fixed order: two exports
compare well with `diff`. It is of one moment, and others may change the store
meanwhile.";

pub(crate) fn run(store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
    let document = Document::new(block_on(store.open()?.export())?);
    let mut json = serde_json::Serializer::with_formatter(&mut console.out, Layout::default());
    let printed = document.serialize(&mut json);
    if let Some(error) = document.into_store_error() {
        return Err(error.into());
    }
    printed.map_err(io::Error::from)?;
    writeln!(console.out)?;
    Ok(())
}
