//! `remove`: removes one user from a chat.

use clap::Args;
use crm_chat_domain::{
    Answer, Outcome, RemoveError, Request, StoreError, StoreErrorKind, UserId, remove_user,
};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::args::RemovalArgs;
use crate::commands::Run;
use crate::console::Console;
use crate::error::CommandError;
use crate::reply::Reply;
use crate::store_url::StoreUrl;

const HELP: &str = r#"Prints the id of the chat, or 0 if the entity has no chat. With `--json`, prints
the same object as `apply`, also if the removal is refused:
  {"result":8773}
  {"error":"CHAT_NOT_IN_CRM","error_description":"…"}

`crm-chat explain` with the same arguments explains the answer."#;

/// Remove one user from a chat, and print the id of the chat
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    removal: RemovalArgs,
}

impl Run for RemoveArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let Self { removal } = self;
        let answer =
            answer(&store.open()?, removal.actor, &removal.request()).map_err(store_failed)?;
        if removal.json {
            // A refusal is printed as JSON too, before it ends the command.
            console.print_json(&Reply::from(answer))?;
        }
        let outcome = answer?;
        if !removal.json {
            writeln!(console.out, "{}", outcome.result())?;
        }
        match outcome {
            Outcome::Removed(_) => {}
            Outcome::NoChat => console.note("the entity has no chat; nothing was changed"),
            Outcome::AlreadyAbsent { chat } => console.note(format_args!(
                "the user was not a member of chat {chat}; nothing was changed"
            )),
        }
        Ok(())
    }
}

fn answer(store: &Sqlite, actor: UserId, request: &Request) -> Result<Answer, StoreError> {
    let removal = match request.parse() {
        Ok(removal) => removal,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match block_on(remove_user(store, actor, &removal)) {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(RemoveError::Refused(refusal)) => Ok(Err(refusal)),
        Err(RemoveError::Store(error)) => Err(error),
    }
}

fn store_failed(error: StoreError) -> CommandError {
    let is_unknown = error.kind() == StoreErrorKind::OutcomeUnknown;
    let error = CommandError::from(error);
    if is_unknown {
        error.with_hint("the user may have been removed; repeat with `--if-absent accept`")
    } else {
        error
    }
}
