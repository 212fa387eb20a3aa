//! Conversion between values of the domain and columns.

use std::fmt::Display;
use std::str::FromStr;

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{Entity, EntityKind, StoreError};
use crm_chat_sqlite_file::corrupt;

/// The row that a value was read from, for the error message if the value is not valid.
pub(crate) struct RowRef<'a, K> {
    pub(crate) table: &'a str,
    pub(crate) key: K,
}

impl<K: Display> RowRef<'_, K> {
    /// Converts a number into an id.
    pub(crate) fn id<I: TryFrom<i64>>(&self, column: &str, value: i64) -> Result<I, StoreError> {
        I::try_from(value).map_err(|_| self.invalid(column, value))
    }

    /// Parses a text.
    pub(crate) fn parse<T: FromStr>(&self, column: &str, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.invalid(column, text))
    }

    /// Converts the columns `kind` and `entity`.
    pub(crate) fn entity(&self, kind: &str, id: i64) -> Result<Entity, StoreError> {
        Ok(Entity { kind: self.parse::<EntityKind>("kind", kind)?, id: self.id("entity", id)? })
    }

    /// Converts the column `kind` of a user.
    pub(crate) fn user_kind(&self, kind: &str) -> Result<UserKind, StoreError> {
        [UserKind::Human, UserKind::Bot, UserKind::External]
            .into_iter()
            .find(|known| user_kind(*known) == kind)
            .ok_or_else(|| self.invalid("kind", kind))
    }

    fn invalid(&self, column: &str, value: impl Display) -> StoreError {
        let problem = format!("column `{column}` holds `{value}`, which is not valid there");
        corrupt(self.table, &self.key, problem)
    }
}

/// Returns a kind of user as stored in its column.
pub(crate) const fn user_kind(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Human => "human",
        UserKind::Bot => "bot",
        UserKind::External => "external",
    }
}
