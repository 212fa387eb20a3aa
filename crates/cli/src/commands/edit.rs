//! `edit`: applies edits to the store.

use clap::Args;
use crm_chat_domain::Edit;
use crm_chat_domain::snapshot::EditError;
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::commands::Run;
use crate::console::{Console, count};
use crate::error::CommandError;
use crate::lines::{Line, LineReader, json_error, last_line_hint};
use crate::source::Source;
use crate::store_url::StoreUrl;

const HELP: &str = r#"Each edit is made in a transaction of its own. Edits are idempotent: repeating
one does no harm.

Users (`active` is required; `kind` is `human`, the default, `bot` or
`external`):
  {"add_user": {"id": 12, "active": true, "kind": "human"}}
  {"activate_user": {"user": 12}}
  {"deactivate_user": {"user": 12}}

Chats (an owner must be a member; a new member is the last in joining order):
  {"add_chat": {"chat": 8773}}
  {"join": {"chat": 8773, "user": 12}}
  {"set_owner": {"chat": 8773, "user": 12}}
  {"clear_owner": {"chat": 8773}}
  {"leave": {"chat": 8773, "user": 12}}

Links between entities and chats (repeating a link makes it the newest):
  {"link": {"entity": {"type": "deal", "id": 288}, "chat": 8773}}
  {"unlink": {"entity": {"type": "deal", "id": 288}, "chat": 8773}}

Access to an entity (rule 7):
  {"grant_access": {"user": 1, "entity": {"type": "deal", "id": 288}}}
  {"revoke_access": {"user": 1, "entity": {"type": "deal", "id": 288}}}

The right to remove users from a chat (rule 10):
  {"grant_removal": {"user": 1, "chat": 8773}}
  {"revoke_removal": {"user": 1, "chat": 8773}}

A chat with its members, links and rights; the messenger (rule 6):
  {"delete_chat": {"chat": 8773}}
  {"set_messenger": {"installed": true}}

Stops at the first line that cannot be applied. The exit status is 1 if the line
names an unknown chat or user, or an owner who is not a member, and 2 if it is
not a valid edit. The lines before it have been applied, the lines after it have
not. Blank lines are skipped."#;

/// Apply edits to the store, one JSON object on each line
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct EditArgs {
    /// File with the edits; `-` is standard input
    #[arg(default_value = "-")]
    file: Source,
}

impl Run for EditArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let mut lines = LineReader::new(self.file.open(console)?);
        let store = store.open()?;
        let (mut applied, mut last) = (0, 0);
        loop {
            let hint = || last_line_hint(last, "applied");
            let line = lines.next();
            let line = line.map_err(|error| self.file.read_error(&error).with_hint(hint()))?;
            let Some(line) = line else { break };
            apply(&store, &line).map_err(|error| error.with_hint(hint()))?;
            last = line.number;
            applied += 1;
        }
        console.note(format_args!("applied {}", count(applied, "edit")));
        Ok(())
    }
}

fn apply(store: &Sqlite, line: &Line<'_>) -> Result<(), CommandError> {
    let number = line.number;
    let edit = parse(line).map_err(|problem| {
        CommandError::failed(format_args!("line {number}: not a valid edit: {problem}"))
    })?;
    block_on(store.edit(&edit)).map_err(|error| match error {
        EditError::Rejected(rejection) => {
            CommandError::refused(format_args!("line {number}: {rejection}"))
        }
        EditError::Store(error) => error.into(),
    })
}

fn parse(line: &Line<'_>) -> Result<Edit, String> {
    let text = line.text.as_ref().map_err(Clone::clone)?;
    serde_json::from_str(text).map_err(|error| json_error(&error))
}
