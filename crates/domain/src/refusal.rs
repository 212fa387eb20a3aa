//! Refusals, the answers of rules that fail.

use std::fmt;

use crate::{ChatId, Entity, Rule, UserId};

/// The refusal of a removal by a rule: an ordinary answer with a code. Nothing was changed.
///
/// It is displayed as a description for people, which names the ids concerned. With the feature
/// `serde` it is serialized as the object of the wire: `error` (the code), `error_description`, and
/// `argument` where there is one.
///
/// Exhaustive on purpose: an embedder that maps refusals should stop compiling when one is added.
///
/// ```
/// use crm_chat_domain::{Refusal, Rule};
///
/// let refusal = Refusal::NotAMember { user: 12.try_into()?, chat: 8773.try_into()? };
/// assert_eq!(refusal.rule(), Rule::Member);
/// assert_eq!((refusal.code(), refusal.status()), ("WRONG_REQUEST", 400));
/// assert_eq!(refusal.to_string(), "user 12 is not a member of chat 8773");
/// assert_eq!(
///     serde_json::to_value(refusal).unwrap(),
///     serde_json::json!({
///         "error": "WRONG_REQUEST",
///         "error_description": "user 12 is not a member of chat 8773",
///     }),
/// );
/// # Ok::<(), crm_chat_domain::InvalidIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Rule 1: `USER_ID` is absent or not an id.
    #[error("the user is not specified: `USER_ID` must be a whole number from 1 to {}", i64::MAX)]
    EmptyUser,
    /// Rule 2: `CRM_ENTITY_TYPE` or `CRM_ENTITY` is absent.
    #[error(
        "the CRM entity is not specified: `CRM_ENTITY_TYPE` and `CRM_ENTITY` are both required"
    )]
    EmptyCrmData,
    /// Rules 3 and 4: an argument is present but not an id.
    #[error("`{0}` must be a whole number from 1 to {max}", max = i64::MAX)]
    InvalidArgument(Argument),
    /// Rule 5: `CRM_ENTITY_TYPE` names none of the four kinds.
    #[error("`CRM_ENTITY_TYPE` must be one of `lead`, `deal`, `company`, `contact`")]
    UnknownEntityKind,
    /// Rule 6: the messenger is not installed.
    #[error("the messenger is not installed")]
    MessengerNotInstalled,
    /// Rule 7: the actor has no access to the entity.
    #[error("user {actor} has no access to {entity}")]
    AccessDenied {
        /// The user on whose behalf the removal was requested.
        actor: UserId,
        /// The entity named by the request.
        entity: Entity,
    },
    /// Rule 9: the chat is not linked to the entity, or does not exist.
    #[error("chat {chat} does not belong to {entity}")]
    ChatNotInCrm {
        /// The chat named by the request.
        chat: ChatId,
        /// The entity named by the request.
        entity: Entity,
    },
    /// Rule 10: the actor may not remove users from the chat.
    #[error("user {actor} may not remove users from chat {chat} of {entity}")]
    RemovalDenied {
        /// The user on whose behalf the removal was requested.
        actor: UserId,
        /// The chat named by the request, else the entity's last.
        chat: ChatId,
        /// The entity named by the request.
        entity: Entity,
    },
    /// Rule 11: the user does not exist or is not active.
    #[error("user {user} does not exist or is not active")]
    UserNotActive {
        /// The user who was to leave the chat.
        user: UserId,
    },
    /// Rule 12: the user is not a member of the chat.
    #[error("user {user} is not a member of chat {chat}")]
    NotAMember {
        /// The user who was to leave the chat.
        user: UserId,
        /// The chat named by the request, else the entity's last.
        chat: ChatId,
    },
}

impl Refusal {
    /// Returns the rule that decided.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            Self::EmptyUser => Rule::UserId,
            Self::EmptyCrmData => Rule::CrmData,
            Self::InvalidArgument(Argument::CrmEntity) => Rule::EntityId,
            Self::InvalidArgument(Argument::ChatId) => Rule::ChatId,
            Self::UnknownEntityKind => Rule::EntityKind,
            Self::MessengerNotInstalled => Rule::Messenger,
            Self::AccessDenied { .. } => Rule::Access,
            Self::ChatNotInCrm { .. } => Rule::Link,
            Self::RemovalDenied { .. } => Rule::Permission,
            Self::UserNotActive { .. } => Rule::ActiveUser,
            Self::NotAMember { .. } => Rule::Member,
        }
    }

    /// Returns the code on the wire, such as `CHAT_NOT_IN_CRM`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.rule().code() {
            Some(code) => code,
            // Only rule 8 has no code, and no refusal names rule 8.
            None => "",
        }
    }

    /// Returns the HTTP status number: 400 or 403.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.rule().status()
    }

    /// Returns the invalid argument, for `ERROR_ARGUMENT` only.
    #[must_use]
    pub const fn argument(&self) -> Option<Argument> {
        match self {
            Self::InvalidArgument(argument) => Some(*argument),
            _ => None,
        }
    }
}

/// An argument that a refusal with the code `ERROR_ARGUMENT` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// `CRM_ENTITY`.
    CrmEntity,
    /// `CHAT_ID`.
    ChatId,
}

impl Argument {
    /// Returns the argument's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrmEntity => "CRM_ENTITY",
            Self::ChatId => "CHAT_ID",
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// By hand, because the object of the wire consists of what the methods return, not of the fields.
#[cfg(feature = "serde")]
impl serde::Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("error", self.code())?;
        map.serialize_entry("error_description", &self.to_string())?;
        if let Some(argument) = self.argument() {
            map.serialize_entry("argument", argument.as_str())?;
        }
        map.end()
    }
}
