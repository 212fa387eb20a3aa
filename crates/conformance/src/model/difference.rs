//! Compares snapshots.

use std::fmt::{self, Write};

use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Serialize;

/// The difference between two snapshots: one line for each item that is missing or unexpected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference(String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Compares the state of a store with the expected one; `None` if they agree.
///
/// The order of `users`, `chats`, `access` and `removers` does not matter. A record that is
/// expected without a time may have any.
///
/// ```
/// use crm_chat_conformance::model::difference;
/// use crm_chat_domain::Snapshot;
///
/// let expected: Snapshot = serde_json::from_str(r#"{"chats": [{"id": 11, "members": [1, 2]}]}"#)?;
/// let actual: Snapshot = serde_json::from_str(r#"{"chats": [{"id": 11, "members": [2, 1]}]}"#)?;
/// assert_eq!(difference(&expected, &expected), None);
/// assert_eq!(
///     difference(&expected, &actual).unwrap().to_string(),
///     r#"chats: missing {"id":11,"owner":null,"members":[1,2]}
/// chats: unexpected {"id":11,"owner":null,"members":[2,1]}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn difference(expected: &Snapshot, actual: &Snapshot) -> Option<Difference> {
    let (mut expected, mut actual) = (expected.clone(), actual.clone());
    expected.sort();
    actual.sort();
    forget_times(&expected.removals, &mut actual.removals);
    if expected == actual {
        return None;
    }

    // From here on the snapshots differ; name the parts that do.
    let mut lines = DifferenceLines(String::new());
    if expected.messenger_installed != actual.messenger_installed {
        let (expected, actual) = (expected.messenger_installed, actual.messenger_installed);
        lines.push(format_args!("messenger_installed: expected {expected}, actual {actual}"));
    }
    lines.compare("users", &expected.users, &actual.users);
    lines.compare("chats", &expected.chats, &actual.chats);
    lines.compare("links", &expected.links, &actual.links);
    lines.compare("access", &expected.access, &actual.access);
    lines.compare("removers", &expected.removers, &actual.removers);
    lines.compare("removals", &expected.removals, &actual.removals);
    Some(Difference(lines.0))
}

/// Compares two snapshots literally, including the order of all lists; `None` if they are equal.
pub(crate) fn literal_difference(expected: &Snapshot, actual: &Snapshot) -> Option<Difference> {
    let mut lines = DifferenceLines(String::new());
    lines.compare_literally(
        "messenger_installed",
        &expected.messenger_installed,
        &actual.messenger_installed,
    );
    lines.compare_literally("users", &expected.users, &actual.users);
    lines.compare_literally("chats", &expected.chats, &actual.chats);
    lines.compare_literally("links", &expected.links, &actual.links);
    lines.compare_literally("access", &expected.access, &actual.access);
    lines.compare_literally("removers", &expected.removers, &actual.removers);
    lines.compare_literally("removals", &expected.removals, &actual.removals);
    (!lines.0.is_empty()).then_some(Difference(lines.0))
}

fn forget_times(expected: &[RemovalRecord], actual: &mut [RemovalRecord]) {
    for (expected, actual) in expected.iter().zip(actual) {
        if expected.recorded_at.is_none() {
            actual.recorded_at = None;
        }
    }
}

struct DifferenceLines(String);

impl DifferenceLines {
    fn push(&mut self, line: impl fmt::Display) {
        let separator = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{separator}{line}");
    }

    /// Adds both values, one below the other, if they differ.
    fn compare_literally<T: PartialEq + Serialize>(
        &mut self,
        part: &str,
        expected: &T,
        actual: &T,
    ) {
        if expected != actual {
            self.push(format_args!("expected: {part}: {}", json(expected)));
            self.push(format_args!("  actual: {part}: {}", json(actual)));
        }
    }

    fn compare<T: PartialEq + Serialize>(&mut self, list: &str, expected: &[T], actual: &[T]) {
        let missing = expected.iter().filter(|item| !actual.contains(item));
        let unexpected = actual.iter().filter(|item| !expected.contains(item));
        let before = self.0.len();
        for item in missing {
            self.push(format_args!("{list}: missing {}", json(item)));
        }
        for item in unexpected {
            self.push(format_args!("{list}: unexpected {}", json(item)));
        }
        // The same items, but in another order or another number.
        if self.0.len() == before && expected != actual {
            let (expected, actual) = (json(&expected), json(&actual));
            self.push(format_args!("{list}: expected {expected}, actual {actual}"));
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}
