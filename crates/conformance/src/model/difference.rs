//! How two snapshots differ.

use std::fmt::{self, Write};

use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Serialize;

/// What a store holds and should not, or should and does not: one line for each list that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Compares what a store holds with what it should hold; `None` if they agree.
///
/// The order of `users`, `chats`, `access` and `removers` does not matter. A record that is expected without a time
/// may bear any.
///
/// ```
/// use crm_chat_conformance::model::difference;
/// use crm_chat_domain::Snapshot;
///
/// let expected: Snapshot = serde_json::from_str(r#"{"chats": [{"id": 11, "members": [1, 2]}]}"#)?;
/// let found: Snapshot = serde_json::from_str(r#"{"chats": [{"id": 11, "members": [2, 1]}]}"#)?;
/// assert_eq!(difference(&expected, &expected), None);
/// assert_eq!(
///     difference(&expected, &found).unwrap().to_string(),
///     r#"chats: missing {"id":11,"owner":null,"members":[1,2]}
/// chats: unexpected {"id":11,"owner":null,"members":[2,1]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn difference(expected: &Snapshot, found: &Snapshot) -> Option<Difference> {
    let (mut expected, mut found) = (expected.clone(), found.clone());
    expected.sort();
    found.sort();
    forget_times(&expected.removals, &mut found.removals);
    if expected == found {
        return None;
    }

    let mut lines = Lines(String::new());
    if expected.messenger_installed != found.messenger_installed {
        let (expected, found) = (expected.messenger_installed, found.messenger_installed);
        lines.push(format_args!("messenger_installed: expected {expected}, found {found}"));
    }
    lines.compare("users", &expected.users, &found.users);
    lines.compare("chats", &expected.chats, &found.chats);
    lines.compare("links", &expected.links, &found.links);
    lines.compare("access", &expected.access, &found.access);
    lines.compare("removers", &expected.removers, &found.removers);
    lines.compare("removals", &expected.removals, &found.removals);
    Some(Difference(lines.0))
}

/// Compares two snapshots to the letter, the order of all lists included; `None` if they agree.
pub(crate) fn literal_difference(expected: &Snapshot, found: &Snapshot) -> Option<Difference> {
    let mut lines = Lines(String::new());
    lines.same("messenger_installed", &expected.messenger_installed, &found.messenger_installed);
    lines.same("users", &expected.users, &found.users);
    lines.same("chats", &expected.chats, &found.chats);
    lines.same("links", &expected.links, &found.links);
    lines.same("access", &expected.access, &found.access);
    lines.same("removers", &expected.removers, &found.removers);
    lines.same("removals", &expected.removals, &found.removals);
    (!lines.0.is_empty()).then_some(Difference(lines.0))
}

fn forget_times(expected: &[RemovalRecord], found: &mut [RemovalRecord]) {
    for (expected, found) in expected.iter().zip(found) {
        if expected.recorded_at.is_none() {
            found.recorded_at = None;
        }
    }
}

struct Lines(String);

impl Lines {
    fn push(&mut self, line: impl fmt::Display) {
        let separator = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{separator}{line}");
    }

    /// Writes both of what should be the same, one below the other.
    fn same<T: PartialEq + Serialize>(&mut self, part: &str, expected: &T, found: &T) {
        if expected != found {
            self.push(format_args!("expected: {part}: {}", json(expected)));
            self.push(format_args!("    came: {part}: {}", json(found)));
        }
    }

    fn compare<T: PartialEq + Serialize>(&mut self, list: &str, expected: &[T], found: &[T]) {
        let missing = expected.iter().filter(|item| !found.contains(item));
        let unexpected = found.iter().filter(|item| !expected.contains(item));
        let before = self.0.len();
        for item in missing {
            self.push(format_args!("{list}: missing {}", json(item)));
        }
        for item in unexpected {
            self.push(format_args!("{list}: unexpected {}", json(item)));
        }
        // The same items, but not in the same order or not as often.
        if self.0.len() == before && expected != found {
            let (expected, found) = (json(&expected), json(&found));
            self.push(format_args!("{list}: expected {expected}, found {found}"));
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}
