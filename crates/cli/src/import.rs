//! `import`: fills the store from a document.

use std::fmt;
use std::io::BufReader;

use clap::Args;
use crm_chat_domain::Snapshot;
use crm_chat_domain::snapshot::LoadError;
use crm_chat_sqlite::StoreCounts;
use futures_lite::future::block_on;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::args::source;
use crate::console::{Console, count, tame};
use crate::failure::Failure;
use crate::sample;
use crate::source::Source;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = concat!(
    r#"The document, in which every list may be missing; this one is the sample:

"#,
    include_str!("sample.json"),
    r#"
A document may have two more keys, which `export` prints too:
  "messenger_installed": true
  "removals": [{"chat": 8773, "user": 9, "actor": 1,
                "entity": {"type": "deal", "id": 288}, "new_owner": null,
                "recorded_at": "2026-11-22T09:12:41Z"}]

A kind of user is `human` (if left out), `bot` or `external`. Members are listed
in joining order, links and removals oldest first. `access` lists who has access
to which entity (rule 7), `removers` who may remove users from which chat (rule
10). A document that breaks the rules is refused whole, and the place is named;
the store then keeps what it held. The log begins a new epoch: see
`crm-chat log --help`."#
);

#[derive(Args)]
pub(crate) struct Import {
    /// The document; `-` is standard input
    #[arg(default_value = "-", value_parser = source())]
    file: Source,
    /// Imports the sample document
    #[arg(long, conflicts_with = "file")]
    sample: bool,
    /// Deletes what the store holds, its log too; without this, only an empty store is imported into
    #[arg(long)]
    replace: bool,
}

impl Import {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        let snapshot = if self.sample {
            sample::snapshot()
        } else {
            let snapshot = read(&self.file, console)?;
            // Before the store is opened: a document that breaks the rules must not create one.
            snapshot.validate().map_err(|error| refused(&self.file, &error.to_string()))?;
            snapshot
        };
        let imported = Contents::from(&snapshot);
        let opened = store.open_or_create()?;
        let counts = block_on(opened.counts())?;
        let replaced = (!counts.is_empty()).then(|| Contents::from(counts));
        if let (Some(contents), false) = (&replaced, self.replace) {
            return Err(Failure::refused(format_args!(
                "{store} is not empty: it holds {contents}"
            ))
            .with_hint("`--replace` deletes them all; `crm-chat backup FILE` keeps a copy"));
        }
        match block_on(opened.load(snapshot)) {
            Ok(()) => {
                console.note(format_args!("imported {imported} into {store}"));
                if let Some(contents) = replaced {
                    console.note(format_args!("replaced {contents}"));
                }
                Ok(())
            }
            Err(LoadError::Invalid(error)) => Err(refused(&self.file, &error.to_string())),
            Err(LoadError::Store(error)) => Err(error.into()),
        }
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

/// The size of a document or a store.
struct Contents {
    users: u64,
    chats: u64,
    members: u64,
    links: u64,
    removals: u64,
}

impl From<&Snapshot> for Contents {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            users: snapshot.users.len() as u64,
            chats: snapshot.chats.len() as u64,
            members: snapshot.chats.iter().map(|chat| chat.members.len() as u64).sum(),
            links: snapshot.links.len() as u64,
            removals: snapshot.removals.len() as u64,
        }
    }
}

impl From<StoreCounts> for Contents {
    fn from(counts: StoreCounts) -> Self {
        Self {
            users: counts.users,
            chats: counts.chats,
            members: counts.members,
            links: counts.links,
            removals: counts.removals,
        }
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} with {}, {} and {}",
            count(self.users, "user"),
            count(self.chats, "chat"),
            count(self.members, "member"),
            count(self.links, "link"),
            count(self.removals, "log record"),
        )
    }
}
