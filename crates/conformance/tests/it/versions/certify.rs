//! Certification: detects whether transactions still have a serial order that respects real time.

use std::collections::BTreeSet;

use crm_chat_domain::{ChatId, Entity, UserId};

/// A fact that one transaction reads and another writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Messenger,
    User(UserId),
    Access(UserId, Entity),
    Remover(UserId, ChatId),
    Links(Entity),
    Member(ChatId, UserId),
    Members(ChatId),
    Owner(ChatId),
    /// All facts.
    Everything,
}

/// The reads and writes of a transaction, and its begin and commit time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Footprint {
    pub(crate) began: u64,
    pub(crate) committed: u64,
    pub(crate) reads_all: bool,
    pub(crate) reads: BTreeSet<Key>,
    pub(crate) writes: BTreeSet<Key>,
}

impl Footprint {
    fn reads_what(&self, other: &Self) -> bool {
        let all = |keys: &BTreeSet<Key>| keys.contains(&Key::Everything);
        let met = self.reads_all || all(&other.writes) || !self.reads.is_disjoint(&other.writes);
        met && !other.writes.is_empty()
    }

    /// Returns whether this transaction must come before the other.
    fn precedes(&self, other: &Self) -> bool {
        let ended_before = self.committed <= other.began;
        let read_before = self.reads_what(other) && self.began < other.committed;
        let wrote_before =
            !self.writes.is_disjoint(&other.writes) && self.committed < other.committed;
        ended_before || read_before || wrote_before
    }

    /// Returns whether a concurrent transaction wrote a row that this one wrote. The set of members
    /// as a whole is not a row.
    pub(crate) fn overwrites(&self, committed: &[Self]) -> bool {
        let rows = self.writes.iter().filter(|key| !matches!(key, Key::Members(_)));
        let rows: BTreeSet<_> = rows.copied().collect();
        let unseen = |other: &&Self| other.committed > self.began;
        let mut unseen = committed.iter().filter(unseen);
        unseen.any(|other| !rows.is_disjoint(&other.writes))
    }

    /// Returns whether committing this transaction leaves no serial order: a path leads from it
    /// back to itself.
    pub(crate) fn closes_a_cycle(&self, committed: &[Self]) -> bool {
        let mut reached: Vec<&Self> = vec![self];
        let mut left: Vec<&Self> = committed.iter().collect();
        while let Some(from) = reached.pop() {
            if !std::ptr::eq(from, self) && from.precedes(self) {
                return true;
            }
            left.retain(|to| {
                let follows = from.precedes(to);
                if follows {
                    reached.push(to);
                }
                !follows
            });
        }
        false
    }
}
