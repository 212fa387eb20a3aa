//! `edit`: applies single changes.

use crm_chat_domain::Edit;
use crm_chat_domain::snapshot::EditError;
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::console::{Console, count};
use crate::failure::Failure;
use crate::lines::{Line, Lines, last_of, problem};
use crate::source::Source;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = r#"Each change is made in a transaction of its own. It says what shall be the
case: made twice, it does no harm.

Users (`active` is required; a kind is `human`, if left out, `bot` or
`external`):
  {"add_user": {"id": 12, "active": true, "kind": "human"}}
  {"activate_user": {"user": 12}}
  {"deactivate_user": {"user": 12}}

Chats (an owner is a member; whoever joins comes last in the order):
  {"add_chat": {"chat": 8773}}
  {"join": {"chat": 8773, "user": 12}}
  {"set_owner": {"chat": 8773, "user": 12}}
  {"clear_owner": {"chat": 8773}}
  {"leave": {"chat": 8773, "user": 12}}

Links between entities and chats (made again, a link becomes the newest):
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

The first line that cannot be applied ends it: with exit status 1 if it names an
unknown chat or user, or an owner who is no member; with 2 if it is no change.
The lines before it were applied, those after it were not. Blank lines are
skipped."#;

pub(crate) fn run(
    store: &StoreUrl,
    file: &Source,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut lines = Lines::new(file.open(console)?);
    let store = store.open()?;
    let (mut applied, mut last) = (0, 0);
    while let Some(line) =
        lines.next().map_err(|error| file.unreadable(&error).with_hint(last_of(last, "applied")))?
    {
        apply(&store, &line).map_err(|failure| failure.with_hint(last_of(last, "applied")))?;
        last = line.number;
        applied += 1;
    }
    console.note(format_args!("applied {}", count(applied, "change")));
    Ok(())
}

fn apply(store: &Sqlite, line: &Line<'_>) -> Result<(), Failure> {
    let number = line.number;
    let edit = parse(line)
        .map_err(|problem| Failure::input(format_args!("line {number} is no change: {problem}")))?;
    block_on(store.edit(&edit)).map_err(|error| match error {
        EditError::Rejected(rejection) => {
            Failure::refused(format_args!("line {number}: {rejection}"))
        }
        EditError::Store(error) => error.into(),
    })
}

fn parse(line: &Line<'_>) -> Result<Edit, String> {
    let text = line.text.as_ref().map_err(Clone::clone)?;
    serde_json::from_str(text).map_err(|error| problem(&error))
}
