//! Values as columns hold them.

use std::fmt::Display;

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{Entity, EntityKind, StoreError};
use crm_chat_sqlite_file::corrupt;

/// The place where a value was read, for the message if it is not valid.
pub(crate) struct Place<'a, K> {
    pub(crate) table: &'a str,
    pub(crate) key: K,
}

impl<K: Display> Place<'_, K> {
    /// Reads an id.
    pub(crate) fn id<I: TryFrom<i64>>(&self, column: &str, value: i64) -> Result<I, StoreError> {
        I::try_from(value).map_err(|_| self.wrong(column, value))
    }

    /// Parses a text.
    pub(crate) fn parse<T: std::str::FromStr>(
        &self,
        column: &str,
        text: &str,
    ) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.wrong(column, text))
    }

    /// Reads an entity.
    pub(crate) fn entity(&self, kind: &str, id: i64) -> Result<Entity, StoreError> {
        Ok(Entity { kind: self.parse::<EntityKind>("kind", kind)?, id: self.id("entity", id)? })
    }

    /// Reads a kind of user.
    pub(crate) fn user_kind(&self, kind: &str) -> Result<UserKind, StoreError> {
        [UserKind::Human, UserKind::Bot, UserKind::External]
            .into_iter()
            .find(|known| user_kind(*known) == kind)
            .ok_or_else(|| self.wrong("kind", kind))
    }

    fn wrong(&self, column: &str, value: impl Display) -> StoreError {
        let problem = format!("column `{column}` holds `{value}`, which is not valid there");
        corrupt(self.table, &self.key, problem)
    }
}

/// Returns a kind of user as its column holds it.
pub(crate) const fn user_kind(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Human => "human",
        UserKind::Bot => "bot",
        UserKind::External => "external",
    }
}
