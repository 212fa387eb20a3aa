//! `import`: replaces the store's content by a document.

use std::io::BufReader;

use crm_chat_domain::{LoadError, Snapshot};
use futures_lite::future::block_on;

use crate::console::{Console, tame};
use crate::failure::Failure;
use crate::source::Source;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = r#"The document, in which every list may be missing:
  {
    "messenger_installed": true,
    "users":    [{"id": 12, "active": true, "kind": "human"}],
    "chats":    [{"id": 8773, "owner": 7, "members": [7, 12]}],
    "links":    [{"entity": {"type": "deal", "id": 288}, "chat": 8773}],
    "access":   [{"user": 1, "entity": {"type": "deal", "id": 288}}],
    "removers": [{"user": 1, "chat": 8773}],
    "removals": [{"chat": 8773, "user": 9, "actor": 1,
                  "entity": {"type": "deal", "id": 288}, "new_owner": null,
                  "recorded_at": "2026-11-22T09:12:41Z"}]
  }

A kind of user is `human` (if left out), `bot` or `external`. Members stand in
joining order, links and removals oldest first. `access` says who has access to
which entity (rule 7), `removers` who may remove users from which chat (rule
10). A document that breaks the rules is refused whole, and the place is named;
the store then keeps what it held."#;

pub(crate) fn run(
    store: &StoreUrl,
    file: &Source,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let snapshot = read(file, console)?;
    // Before the store is opened: a document that breaks the rules must not create one.
    let refused = |problem: &dyn std::fmt::Display| refused(file, &problem.to_string());
    snapshot.validate().map_err(|error| refused(&error))?;
    let summary = summary(&snapshot);
    match block_on(store.open_or_create()?.load(snapshot)) {
        Ok(()) => {
            console.note(format_args!("imported {summary} into {store}"));
            Ok(())
        }
        Err(LoadError::Invalid(error)) => Err(refused(&error)),
        Err(LoadError::Store(error)) => Err(error.into()),
    }
}

/// Reads the document as a stream: its text is never whole in memory.
fn read(file: &Source, console: &mut Console<'_>) -> Result<Snapshot, Failure> {
    let input = BufReader::with_capacity(64 * 1024, file.open(console)?);
    let mut json = serde_json::Deserializer::from_reader(input);
    let snapshot: Snapshot = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        broken(
            file,
            Some(&place).filter(|place| *place != "."),
            error.inner(),
        )
    })?;
    json.end().map_err(|error| broken(file, None, &error))?;
    Ok(snapshot)
}

fn broken(file: &Source, place: Option<&String>, error: &serde_json::Error) -> Failure {
    match (error.io_error_kind(), place) {
        (Some(kind), _) => file.unreadable(&kind.into()),
        (None, Some(place)) => refused(file, &format!("`{place}`: {error}")),
        (None, None) => refused(file, &error.to_string()),
    }
}

fn refused(file: &Source, problem: &str) -> Failure {
    Failure::input(format_args!("cannot import {file}: {}", tame(problem))).with_hint(
        "nothing was imported; `crm-chat import --help` shows what a document looks like",
    )
}

fn summary(snapshot: &Snapshot) -> String {
    let members: usize = snapshot.chats.iter().map(|chat| chat.members.len()).sum();
    format!(
        "{}, {} with {}, {} and {}",
        count(snapshot.users.len(), "user"),
        count(snapshot.chats.len(), "chat"),
        count(members, "member"),
        count(snapshot.links.len(), "link"),
        count(snapshot.removals.len(), "log record"),
    )
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
