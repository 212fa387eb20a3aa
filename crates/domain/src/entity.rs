//! CRM entities.

use std::fmt;
use std::str::FromStr;

use crate::{EntityId, InvalidId};

/// What a CRM entity is.
///
/// Exhaustive: an embedder that maps kinds to its own tables should stop compiling when one is added. The order is the
/// one in which a dump sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum EntityKind {
    /// A lead.
    Lead,
    /// A deal.
    Deal,
    /// A company.
    Company,
    /// A contact.
    Contact,
}

impl EntityKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 4] = [Self::Lead, Self::Deal, Self::Company, Self::Contact];

    /// Returns the kind's name on the wire, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Deal => "deal",
            Self::Company => "company",
            Self::Contact => "contact",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text names no [`EntityKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind of entity must be one of `lead`, `deal`, `company`, `contact`")]
pub struct UnknownEntityKind;

/// Reads a kind in any letter case. Nothing is trimmed.
impl FromStr for EntityKind {
    type Err = UnknownEntityKind;

    fn from_str(text: &str) -> Result<Self, UnknownEntityKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownEntityKind)
    }
}

/// A CRM entity: a kind and an id.
///
/// It is displayed as `deal:288`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Entity {
    /// What the entity is.
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub kind: EntityKind,
    /// Which of that kind.
    pub id: EntityId,
}

impl Entity {
    /// Names an entity by a kind and a number.
    ///
    /// # Errors
    /// [`InvalidId`] if the number is not from 1 to 9223372036854775807.
    pub fn new(kind: EntityKind, id: i64) -> Result<Self, InvalidId> {
        EntityId::try_from(id).map(|id| Self { kind, id })
    }
}

/// Says that a text names no [`Entity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntity {
    /// There is no `:`.
    #[error("an entity must be written as `KIND:ID`, such as `deal:288`")]
    NoColon,
    /// The part before the first `:` is no kind.
    #[error(transparent)]
    Kind(#[from] UnknownEntityKind),
    /// The part after the first `:` is no id.
    #[error(transparent)]
    Id(#[from] InvalidId),
}

/// Reads `KIND:ID`: a kind in any letter case, and an id as [`EntityId`] reads it.
impl FromStr for Entity {
    type Err = InvalidEntity;

    fn from_str(text: &str) -> Result<Self, InvalidEntity> {
        let (kind, id) = text.split_once(':').ok_or(InvalidEntity::NoColon)?;
        Ok(Self { kind: kind.parse()?, id: id.parse()? })
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}
