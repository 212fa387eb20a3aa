//! `explain`: what the rules say, and why.

mod json;
mod text;

use crm_chat_domain::explain;
use futures_lite::future::block_on;

use crate::args::Ask;
use crate::console::Console;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = r#"Changes nothing. A rule holds, fails, cannot be asked (an id or the chat that it
needs is unresolved) or is unknown (the store failed, after the rule that
decides). The first rule that fails decides; it is marked by `>`.

It shows facts that the actor may not see: a tool for operators, not to be
served to callers.

With `--json` it prints one object:
  rules     a list of {"rule", "statement", "verdict"}; a verdict is `holds`,
            `fails`, `cannot be asked` or `unknown`. With `fails` comes
            "answer", which is what `remove` would answer if this rule decided;
            with `unknown` comes "store_error"
  deciding  the number of the rule that decides, or null if all hold
  answer    what `remove` would answer now
  change    what it would change: {"chat", "user", "actor", "entity", "owner",
            "new_owner"}, or null. "owner" is `unchanged`, `passes` (to
            "new_owner") or `vacant`

The exit status is 0 whenever it could explain."#;

pub(crate) fn run(store: &StoreUrl, ask: &Ask, console: &mut Console<'_>) -> Result<(), Failure> {
    let explanation = block_on(explain(&store.open()?, ask.actor, &ask.request()))?;
    if ask.json {
        console.json(&json::Explained::from(&explanation))?;
    } else {
        text::print(&explanation, console.out)?;
    }
    Ok(())
}
