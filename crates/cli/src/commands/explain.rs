//! `explain`: reports the verdict of every rule on a removal.

mod json;
mod text;

use clap::Args;
use crm_chat_domain::explain;
use futures_lite::future::block_on;

use crate::args::RemovalArgs;
use crate::commands::Run;
use crate::console::Console;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

const HELP: &str = r#"Changes nothing. A rule holds, fails, cannot be asked (an id or chat that it
needs is unresolved) or is unknown (the store failed, after the rule that
decides). The first rule that fails decides; it is marked with `>`.

The output includes facts that the actor may not be allowed to see. This is a
tool for operators: do not expose it to callers.

With `--json`, prints one object:
  rules     a list of {"rule", "statement", "verdict"}; a verdict is `holds`,
            `fails`, `cannot be asked` or `unknown`. If a rule fails, "answer"
            is what `remove` would answer if that rule decided; if it is
            unknown, "store_error" is the reason
  deciding  the number of the rule that decides, or null if all rules hold
  answer    what `remove` would answer now
  change    what `remove` would change now: {"chat", "user", "actor", "entity",
            "owner", "new_owner"}, or null. "owner" is `unchanged`, `passes`
            (to "new_owner") or `vacant`

The exit status is 0 whenever an explanation was printed."#;

/// Explain a removal: every rule's verdict, and what `remove` would change
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    removal: RemovalArgs,
}

impl Run for ExplainArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let Self { removal } = self;
        let explanation = block_on(explain(&store.open()?, removal.actor, &removal.request()))?;
        if removal.json {
            console.print_json(&json::ExplanationJson::from(&explanation))?;
        } else {
            text::print(&explanation, console.out)?;
        }
        Ok(())
    }
}
