//! The CRM entities whose chats a removal concerns.

use std::fmt;
use std::str::FromStr;

use crate::{EntityId, InvalidIdError};

/// The kind of a CRM entity.
///
/// Exhaustive: an embedder that maps kinds to tables of its own should stop compiling when a kind
/// is added. Kinds are ordered as a [sorted](crate::Snapshot::sort) dump lists them.
///
/// ```
/// use crm_chat_domain::EntityKind;
///
/// assert_eq!("Deal".parse(), Ok(EntityKind::Deal)); // in any letter case
/// assert_eq!(EntityKind::Deal.to_string(), "deal");
/// ```
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
    /// All kinds, in ascending order.
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

/// The error returned when a text is not the name of an [`EntityKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind of entity must be one of `lead`, `deal`, `company`, `contact`")]
pub struct ParseEntityKindError;

/// Parses the name of a kind in any letter case. White space is not trimmed.
impl FromStr for EntityKind {
    type Err = ParseEntityKindError;

    fn from_str(text: &str) -> Result<Self, ParseEntityKindError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or(ParseEntityKindError)
    }
}

/// A CRM entity: a kind and an id, displayed and parsed as `deal:288`.
///
/// ```
/// use crm_chat_domain::{Entity, EntityKind};
///
/// let entity: Entity = "deal:288".parse()?;
/// assert_eq!(entity.kind, EntityKind::Deal);
/// assert_eq!(entity, Entity::new(EntityKind::Deal, 288)?);
/// assert_eq!(entity.to_string(), "deal:288");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Entity {
    /// The kind: lead, deal, company or contact.
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub kind: EntityKind,
    /// The id, unique among the entities of this kind.
    pub id: EntityId,
}

impl Entity {
    /// Returns the entity of a kind that has this number as its id.
    ///
    /// # Errors
    /// [`InvalidIdError`] if the number is not from 1 to 9223372036854775807.
    pub fn new(kind: EntityKind, id: i64) -> Result<Self, InvalidIdError> {
        EntityId::try_from(id).map(|id| Self { kind, id })
    }
}

/// The error returned when a text is not written as an [`Entity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEntityError {
    /// The text has no `:`.
    #[error("an entity must be written as `KIND:ID`, such as `deal:288`")]
    NoColon,
    /// The part before the first `:` is not a kind.
    #[error(transparent)]
    Kind(#[from] ParseEntityKindError),
    /// The part after the first `:` is not an id.
    #[error(transparent)]
    Id(#[from] InvalidIdError),
}

/// Parses `KIND:ID`: a kind in any letter case, and an id in the form that [`EntityId`] parses.
impl FromStr for Entity {
    type Err = ParseEntityError;

    fn from_str(text: &str) -> Result<Self, ParseEntityError> {
        let (kind, id) = text.split_once(':').ok_or(ParseEntityError::NoColon)?;
        Ok(Self { kind: kind.parse()?, id: id.parse()? })
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}
