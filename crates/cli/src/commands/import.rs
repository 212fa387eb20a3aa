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

use crate::commands::Run;
use crate::console::{Console, count, sanitize};
use crate::error::CommandError;
use crate::sample;
use crate::source::Source;
use crate::store_url::StoreUrl;

const HELP: &str = concat!(
    r#"The form of a document, in which every list is optional; this is the sample:

"#,
    include_str!("../sample.json"),
    r#"
A document may have two more keys, which `export` prints too:
  "messenger_installed": true
  "removals": [{"chat": 8773, "user": 9, "actor": 1,
                "entity": {"type": "deal", "id": 288}, "new_owner": null,
                "recorded_at": "2026-11-22T09:12:41Z"}]

The kind of a user is `human` (the default), `bot` or `external`. Members are in
joining order, links and removals oldest first. `access` lists the users who
have access to an entity (rule 7), and `removers` the users who may remove
others from a chat (rule 10). If a document is not valid, the error message
names the place, nothing is imported, and the store keeps its content.

An import begins a new epoch of the log: see `crm-chat log --help`."#
);

/// Fill the store from a JSON document
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ImportArgs {
    /// File with the document; `-` is standard input
    #[arg(default_value = "-")]
    file: Source,
    /// Import the sample document
    #[arg(long, conflicts_with = "file")]
    sample: bool,
    /// Delete the content of the store, including its log; without it, the store must be empty
    #[arg(long)]
    replace: bool,
}

impl Run for ImportArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let snapshot = if self.sample {
            sample::snapshot()
        } else {
            let snapshot = read(&self.file, console)?;
            // Before the store is opened, because an invalid document must not create one.
            snapshot.validate().map_err(|error| invalid(&self.file, &error.to_string()))?;
            snapshot
        };
        let imported = Contents::from(&snapshot);
        let opened = store.open_or_create()?;
        let counts = || block_on(opened.counts());
        let replaced = if self.replace { Some(counts()?) } else { None };
        let loaded = if self.replace {
            block_on(opened.load(snapshot)).map(|()| true)
        } else {
            // Checks and loads in one transaction: of two imports at once, the second is refused.
            block_on(opened.load_if_empty(snapshot))
        };
        match loaded {
            Ok(true) => {
                console.note(format_args!("imported {imported} into {store}"));
                if let Some(counts) = replaced.filter(|counts| !counts.is_empty()) {
                    console.note(format_args!("replaced {}", Contents::from(counts)));
                }
                Ok(())
            }
            Ok(false) => {
                let contents = Contents::from(counts()?);
                let refused = CommandError::refused(format_args!(
                    "{store} is not empty: it holds {contents}"
                ));
                Err(refused.with_hint(
                    "`--replace` deletes its content; `crm-chat backup FILE` keeps a copy",
                ))
            }
            Err(LoadError::Invalid(error)) => Err(invalid(&self.file, &error.to_string())),
            Err(LoadError::Store(error)) => Err(error.into()),
        }
    }
}

/// Reads a document as a stream, so that its text is never in memory as a whole.
fn read(file: &Source, console: &mut Console<'_>) -> Result<Snapshot, CommandError> {
    let input = BufReader::with_capacity(64 * 1024, file.open(console)?);
    let mut json = serde_json::Deserializer::from_reader(input);
    let SnapshotObject(snapshot) =
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let location = match error.path().to_string().as_str() {
                // The path of the document itself.
                "." => String::new(),
                path => format!("`{path}`: "),
            };
            unreadable(file, &location, error.into_inner())
        })?;
    json.end().map_err(|error| unreadable(file, "", error))?;
    Ok(snapshot)
}

/// A snapshot that is a JSON object.
///
/// The derived implementation of [`Snapshot`] also accepts a list of the fields' values, so that
/// `[]` would empty the store.
struct SnapshotObject(Snapshot);

impl<'de> Deserialize<'de> for SnapshotObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = SnapshotObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SnapshotObject, A::Error> {
        Snapshot::deserialize(MapAccessDeserializer::new(map)).map(SnapshotObject)
    }
}

/// Converts an error of reading or parsing a document.
fn unreadable(file: &Source, location: &str, error: serde_json::Error) -> CommandError {
    if error.is_io() {
        file.read_error(&error.into())
    } else {
        invalid(file, &format!("{location}{error}"))
    }
}

fn invalid(file: &Source, problem: &str) -> CommandError {
    let problem = sanitize(problem);
    CommandError::failed(format_args!("cannot import {file}: {problem}"))
        .with_hint("nothing was imported; `crm-chat import --help` shows the form of a document")
}

/// The size of a document or a store, for messages.
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
