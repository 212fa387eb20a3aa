//! `import`: replaces the store's content by a document.

use std::fmt;
use std::io::BufReader;

use crm_chat_domain::snapshot::LoadError;
use crm_chat_domain::Snapshot;
use futures_lite::future::block_on;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::console::{Console, count, tame};
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
    snapshot
        .validate()
        .map_err(|error| refused(file, &error.to_string()))?;
    let summary = summary(&snapshot);
    match block_on(store.open_or_create()?.load(snapshot)) {
        Ok(()) => {
            console.note(format_args!("imported {summary} into {store}"));
            Ok(())
        }
        Err(LoadError::Invalid(error)) => Err(refused(file, &error.to_string())),
        Err(LoadError::Store(error)) => Err(error.into()),
    }
}

/// Reads the document as a stream: its text is never whole in memory.
fn read(file: &Source, console: &mut Console<'_>) -> Result<Snapshot, Failure> {
    let input = BufReader::with_capacity(64 * 1024, file.open(console)?);
    let mut json = serde_json::Deserializer::from_reader(input);
    let Document(snapshot) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = match error.path().to_string().as_str() {
            "." => String::new(),
            place => format!("`{place}`: "),
        };
        broken(file, &place, error.into_inner())
    })?;
    json.end().map_err(|error| broken(file, "", error))?;
    Ok(snapshot)
}

/// A snapshot in an object. A derived reader takes a list of the fields' values too, so that `[]` would empty the store.
struct Document(Snapshot);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
        Snapshot::deserialize(MapAccessDeserializer::new(map)).map(Document)
    }
}

fn broken(file: &Source, place: &str, error: serde_json::Error) -> Failure {
    if error.is_io() {
        file.unreadable(&error.into())
    } else {
        refused(file, &format!("{place}{error}"))
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
