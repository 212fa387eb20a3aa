//! `log`: prints the removal log.

use futures_lite::future::block_on;

use crate::console::Console;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
A line for each removal, oldest first, with its sequence number and time. Who
has seen number N goes on with `--after N`: a later record never has a lower
number, until a document is imported, which numbers the log from 1.";

/// How many records are in memory at once.
const PAGE: usize = 1000;

pub(crate) fn run(
    store: &StoreUrl,
    mut after: u64,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let store = store.open()?;
    loop {
        let page = block_on(store.log(after, PAGE))?;
        for entry in &page {
            console.json(entry)?;
        }
        match page.last() {
            Some(entry) if page.len() == PAGE => after = entry.sequence,
            _ => return Ok(()),
        }
    }
}
