//! `remove`: one removal.

use crm_chat_domain::{
    Answer, Outcome, RemoveError, Request, StoreError, StoreErrorKind, UserId, remove_user,
};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::args::Ask;
use crate::console::Console;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = r#"Prints the chat's id, or 0 if the entity has no chat; with `--json` the object
that `apply` prints, for a refusal too:
  {"result":8773}
  {"error":"CHAT_NOT_IN_CRM","error_description":"…"}

`crm-chat explain` with the same arguments says why."#;

pub(crate) fn run(store: &StoreUrl, ask: &Ask, console: &mut Console<'_>) -> Result<(), Failure> {
    let answer = decide(&store.open()?, ask.actor, &ask.request()).map_err(failed)?;
    if ask.json {
        console.json(&Reply::from(answer))?;
    }
    let outcome = answer?;
    if !ask.json {
        writeln!(console.out, "{}", outcome.result())?;
    }
    match outcome {
        Outcome::Removed(_) => {}
        Outcome::NoChat => console.note("the entity has no chat; nothing was changed"),
        Outcome::AlreadyAbsent { chat } => console
            .note(format_args!("the user was not a member of chat {chat}; nothing was changed")),
    }
    Ok(())
}

fn decide(store: &Sqlite, actor: UserId, request: &Request) -> Result<Answer, StoreError> {
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

fn failed(error: StoreError) -> Failure {
    let unknown = error.kind() == StoreErrorKind::OutcomeUnknown;
    let failure = Failure::from(error);
    if unknown {
        failure.with_hint("the user may have been removed; repeat it with `--if-absent accept`")
    } else {
        failure
    }
}
