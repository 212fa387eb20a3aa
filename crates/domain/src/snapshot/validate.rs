//! Validation of snapshots.

use std::fmt;

use super::Snapshot;
use crate::ChatId;

/// The error returned when a snapshot is not valid.
///
/// The message names the place, such as `chats[3].members[1]`, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{place}`: {problem}")]
pub struct SnapshotError {
    place: String,
    problem: String,
}

impl SnapshotError {
    fn new(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { place: place.to_string(), problem: problem.to_string() }
    }

    /// Returns the place of the problem, such as `chats[3].members[1]`, counted from 0.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl Snapshot {
    /// Checks the rules that the types cannot express.
    ///
    /// - No id and no entry of a list is repeated. Log records may be: a user may be removed, join
    ///   and be removed again.
    /// - A chat in `links` or `removers` is listed in `chats`.
    /// - An owner is a member of the chat.
    ///
    /// # Errors
    /// [`SnapshotError`] with the first place where a rule is broken.
    pub fn validate(&self) -> Result<(), SnapshotError> {
        unique("users", self.users.iter().map(|user| user.id), "user")?;
        unique("chats", self.chats.iter().map(|chat| chat.id), "chat")?;
        for (index, chat) in self.chats.iter().enumerate() {
            let members = || chat.members.iter().copied();
            // The place is only formatted for an error: a snapshot may have millions of chats.
            if repeated(members()).is_some() {
                unique(&format!("chats[{index}].members"), members(), "member")?;
            }
            if let Some(owner) = chat.owner.filter(|owner| !chat.members.contains(owner)) {
                return Err(SnapshotError::new(
                    format_args!("chats[{index}].owner"),
                    format_args!("user {owner} is not a member of chat {}", chat.id),
                ));
            }
        }

        // Sorted for binary search, and reused for both lists.
        let mut known: Vec<ChatId> = self.chats.iter().map(|chat| chat.id).collect();
        known.sort_unstable();
        all_known("links", self.links.iter().map(|link| link.chat), &known)?;
        all_known("removers", self.removers.iter().map(|remover| remover.chat), &known)?;
        unique("links", self.links.iter().map(|link| DisplayPair(link.entity, link.chat)), "link")?;
        unique(
            "access",
            self.access.iter().map(|access| DisplayPair(access.user, access.entity)),
            "access",
        )?;
        unique(
            "removers",
            self.removers.iter().map(|remover| DisplayPair(remover.user, remover.chat)),
            "remover",
        )
    }
}

/// Checks that a list has no repeated item.
fn unique<T: Ord + Copy + fmt::Display>(
    list: &str,
    items: impl ExactSizeIterator<Item = T>,
    what: &str,
) -> Result<(), SnapshotError> {
    match repeated(items) {
        Some((item, index)) => Err(SnapshotError::new(
            format_args!("{list}[{index}]"),
            format_args!("{what} {item} is listed twice"),
        )),
        None => Ok(()),
    }
}

/// Returns the first item that repeats an earlier one, with its index.
///
/// It sorts a copy, which takes less memory than a set.
fn repeated<T: Ord + Copy>(items: impl ExactSizeIterator<Item = T>) -> Option<(T, usize)> {
    let mut placed: Vec<(T, usize)> = items.zip(0..).collect();
    placed.sort_unstable();
    placed
        .windows(2)
        .filter_map(|pair| match pair {
            [(first, _), (second, index)] if first == second => Some((*second, *index)),
            _ => None,
        })
        // Sorting lost the order of the list; the error names the first repeated item in it.
        .min_by_key(|(_, index)| *index)
}

/// Checks that every chat of a list is known. `known` is sorted.
fn all_known(
    list: &str,
    chats: impl Iterator<Item = ChatId>,
    known: &[ChatId],
) -> Result<(), SnapshotError> {
    let mut chats = chats.enumerate();
    match chats.find(|(_, chat)| known.binary_search(chat).is_err()) {
        Some((index, chat)) => Err(SnapshotError::new(
            format_args!("{list}[{index}].chat"),
            format_args!("chat {chat} is not listed in `chats`"),
        )),
        None => Ok(()),
    }
}

/// A pair of values, displayed as `(A, B)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DisplayPair<A, B>(A, B);

impl<A: fmt::Display, B: fmt::Display> fmt::Display for DisplayPair<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.0, self.1)
    }
}
