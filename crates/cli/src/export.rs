//! `export`: prints the store's content as a document.

mod layout;

use futures_lite::future::block_on;
use serde::Serialize;

use self::layout::Layout;
use crate::console::Console;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
The document is the one that `import` reads, and importing it gives the same
store. One line a user, chat, link and so on, in a fixed order: two exports
compare well with `diff`.";

pub(crate) fn run(store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
    let snapshot = block_on(store.open()?.dump())?;
    let mut json = serde_json::Serializer::with_formatter(&mut console.out, Layout::default());
    snapshot
        .serialize(&mut json)
        .map_err(std::io::Error::from)?;
    writeln!(console.out)?;
    Ok(())
}
