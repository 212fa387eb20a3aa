//! A world and what is done in it, as text.

use std::fmt;
use std::str::FromStr;

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Serialize;

use super::operation::Operation;

/// A world and the operations done in it, one after another.
///
/// It is displayed, also for debugging, as text that can be pasted into a test and read back: the world on the first
/// line, then one operation a line, all as JSON. Blank lines, and what follows `//` at the beginning of a line or a space
/// and `//` later, are not read.
///
/// ```
/// use crm_chat_conformance::model::Script;
///
/// let script: Script = r#"
///     {"chats": [{"id": 11, "members": [3]}]} // nobody has any right
///     {"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 3}}
///     "dump"
/// "#
/// .parse()?;
/// assert_eq!(script.operations.len(), 2);
/// assert_eq!(script.to_string().parse(), Ok(script));
/// # Ok::<(), crm_chat_conformance::model::InvalidScript>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// What the store holds at first.
    pub world: Snapshot,
    /// What is done to it.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&world_line(&self.world)?)?;
        for operation in &self.operations {
            write!(f, "\n{operation}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes a world without the fields that have their default: shorter to read.
pub(crate) fn world_line(world: &Snapshot) -> Result<String, fmt::Error> {
    let line = Line {
        messenger_installed: world.messenger_installed,
        users: &world.users,
        chats: &world.chats,
        links: &world.links,
        access: &world.access,
        removers: &world.removers,
        removals: &world.removals,
    };
    serde_json::to_string(&line).map_err(|_| fmt::Error)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Clone::clone")]
    messenger_installed: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    users: &'a [User],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    chats: &'a [Chat],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    links: &'a [Link],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    access: &'a [AccessGrant],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    removers: &'a [RemovalRight],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    removals: &'a [RemovalRecord],
}

/// Says that a text is no [`Script`]. The message names the line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InvalidScript {
    line: usize,
    problem: String,
}

impl FromStr for Script {
    type Err = InvalidScript;

    fn from_str(text: &str) -> Result<Self, InvalidScript> {
        let at = |line: usize, problem: &dyn fmt::Display| InvalidScript {
            line: line + 1,
            problem: problem.to_string(),
        };
        let unreadable = |line: usize, error: &serde_json::Error| {
            let text = error.to_string();
            // Of the line's text it knows only that it is the first.
            let problem = text.split(" at line 1 column").next().unwrap_or_default();
            match error.column() {
                0 => at(line, &problem),
                column => at(line, &format_args!("{problem} (column {column})")),
            }
        };
        let code = |line: &str| {
            let line = line.trim();
            let end = if line.starts_with("//") { Some(0) } else { line.find(" //") };
            line[..end.unwrap_or(line.len())].trim_end().to_owned()
        };
        let lines = text.lines().map(code).enumerate();
        let mut lines = lines.filter(|(_, line)| !line.is_empty());

        let (line, first) = lines.next().ok_or_else(|| at(0, &"there is no world"))?;
        let world: Snapshot =
            serde_json::from_str(&first).map_err(|error| unreadable(line, &error))?;
        world.validate().map_err(|error| at(line, &error))?;
        let operations = lines
            .map(|(line, json)| {
                serde_json::from_str(&json).map_err(|error| unreadable(line, &error))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { world, operations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_not_read() {
        let script = "// a remark\n{} // another\n\n    // and one\n\"dump\" //";
        let read: Script = script.parse().expect("remarks are left out");
        assert_eq!(read.to_string(), "{}\n\"dump\"");
    }

    /// A misspelt field is not an absent one: the script would hold for another reason.
    #[test]
    fn what_is_no_script_is_told_with_its_line() {
        for (text, expected) in [
            ("", "line 1: there is no world"),
            (
                "{}\n\n\"dumb\"",
                "line 3: unknown variant `dumb`, expected one of `remove`, `remove_many`, `explain`, `edit`, `dump` (column 6)",
            ),
            (
                "{}\n{\"remove\":{\"actor\":1,\"USER\":3}}",
                "line 2: unknown field `USER`, expected one of `actor`, `CRM_ENTITY_TYPE`, `CRM_ENTITY`, `USER_ID`, `CHAT_ID`, `if_absent`",
            ),
            (
                "{\"links\":[{\"entity\":{\"type\":\"deal\",\"id\":1},\"chat\":5}]}",
                "line 1: `links[0].chat`: chat 5 is not listed in `chats`",
            ),
        ] {
            let error = text.parse::<Script>().expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }
}
