//! A world and a sequence of operations, as text.

use std::fmt;
use std::str::FromStr;

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User};
use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Serialize;

use super::operation::Operation;

/// A world and the operations performed in it, in sequence.
///
/// Displayed and debug-formatted as text that can be pasted into a test and parsed again: the world
/// on the first line, then one operation per line, all as JSON. Blank lines are ignored, and so are
/// comments: `//` at the beginning of a line, or ` //` within one.
///
/// ```
/// use crm_chat_conformance::model::Script;
///
/// let script: Script = r#"
///     {"chats": [{"id": 11, "members": [3]}]} // without any rights
///     {"remove": {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 21, "USER_ID": 3}}
///     "dump"
/// "#
/// .parse()?;
/// assert_eq!(script.operations.len(), 2);
/// assert_eq!(script.to_string().parse(), Ok(script));
/// # Ok::<(), crm_chat_conformance::model::ParseScriptError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// The initial state of the store.
    pub world: Snapshot,
    /// The operations.
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

/// Formats a world without the fields that have their default, to keep it readable.
pub(crate) fn world_line(world: &Snapshot) -> Result<String, fmt::Error> {
    let line = WorldLine {
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
struct WorldLine<'a> {
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

/// The error returned when a text is not a valid [`Script`]. The message names the line, counted
/// from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseScriptError {
    line: usize,
    problem: String,
}

impl FromStr for Script {
    type Err = ParseScriptError;

    fn from_str(text: &str) -> Result<Self, ParseScriptError> {
        let error_at = |line: usize, problem: &dyn fmt::Display| ParseScriptError {
            line: line + 1,
            problem: problem.to_string(),
        };
        let invalid = |line: usize, error: &serde_json::Error| {
            let text = error.to_string();
            // Each line is parsed by itself, so the parser calls it line 1.
            let problem = text.split(" at line 1 column").next().unwrap_or_default();
            match error.column() {
                0 => error_at(line, &problem),
                column => error_at(line, &format_args!("{problem} (column {column})")),
            }
        };
        let code = |line: &str| {
            let line = line.trim();
            let end = if line.starts_with("//") { Some(0) } else { line.find(" //") };
            line[..end.unwrap_or(line.len())].trim_end().to_owned()
        };
        let lines = text.lines().map(code).enumerate();
        let mut lines = lines.filter(|(_, line)| !line.is_empty());

        let (line, first) = lines.next().ok_or_else(|| error_at(0, &"the world is missing"))?;
        let world: Snapshot =
            serde_json::from_str(&first).map_err(|error| invalid(line, &error))?;
        world.validate().map_err(|error| error_at(line, &error))?;
        let operations = lines
            .map(|(line, json)| serde_json::from_str(&json).map_err(|error| invalid(line, &error)))
            .collect::<Result<_, _>>()?;
        Ok(Self { world, operations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_ignored() {
        let script = "// a comment\n{} // another\n\n    // and one\n\"dump\" //";
        let read: Script = script.parse().expect("comments are ignored");
        assert_eq!(read.to_string(), "{}\n\"dump\"");
    }

    /// A misspelt field must not count as missing: the script would pass for another reason.
    #[test]
    fn parse_error_names_the_line() {
        for (text, expected) in [
            ("", "line 1: the world is missing"),
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
