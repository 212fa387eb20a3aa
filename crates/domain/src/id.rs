//! The ids of users, chats and entities, each a type of its own.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

/// The error returned when a value is not a valid id.
///
/// An id is a whole number from 1 to 9223372036854775807. The message says so, and does not repeat
/// the value, which may be as long as a request.
///
/// ```
/// use crm_chat_domain::{InvalidIdError, UserId};
///
/// assert_eq!("12abc".parse::<UserId>(), Err(InvalidIdError));
/// assert_eq!(UserId::try_from(0), Err(InvalidIdError));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id must be a whole number from 1 to {}", i64::MAX)]
pub struct InvalidIdError;

/// Parses ASCII digits, with leading zeros, and with space, tab, CR and LF around them.
fn parse(text: &str) -> Option<NonZeroI64> {
    let digits = text.trim_matches([' ', '\t', '\r', '\n']);
    // `str::parse` would accept a sign too.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    NonZeroI64::new(digits.parse().ok()?)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A whole number from 1 to 9223372036854775807. It fits a signed 64-bit column, and an
        /// `Option` of it takes no more space than the id.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroI64);

        impl $name {
            /// The smallest id, 1.
            pub const MIN: Self = Self(NonZeroI64::new(1).unwrap());

            /// The largest id, 9223372036854775807.
            pub const MAX: Self = Self(NonZeroI64::MAX);

            /// Returns the id of this number, or `None` if it is less than 1.
            #[must_use]
            pub const fn new(value: i64) -> Option<Self> {
                match NonZeroI64::new(value) {
                    Some(value) if value.is_positive() => Some(Self(value)),
                    _ => None,
                }
            }

            /// Returns the id as a number from 1 to 9223372036854775807.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0.get()
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidIdError;

            fn try_from(value: i64) -> Result<Self, InvalidIdError> {
                Self::new(value).ok_or(InvalidIdError)
            }
        }

        /// Converts a literal: `12.try_into()`, since an integer literal is an `i32` by default.
        impl TryFrom<i32> for $name {
            type Error = InvalidIdError;

            fn try_from(value: i32) -> Result<Self, InvalidIdError> {
                i64::from(value).try_into()
            }
        }

        impl TryFrom<u64> for $name {
            type Error = InvalidIdError;

            fn try_from(value: u64) -> Result<Self, InvalidIdError> {
                i64::try_from(value).map_err(|_| InvalidIdError)?.try_into()
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.get()
            }
        }

        /// Parses ASCII decimal digits. Leading zeros are allowed, and space, tab, CR and LF
        /// around the digits.
        impl FromStr for $name {
            type Err = InvalidIdError;

            fn from_str(text: &str) -> Result<Self, InvalidIdError> {
                parse(text).map(Self).ok_or(InvalidIdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.get())
            }
        }

        /// Deserializes an integer. A string of digits is rejected: only [`Input`](crate::Input)
        /// accepts both, as the wire does.
        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_i64(de::Id).map(Self)
            }
        }
    };
}

id! {
    /// The id of a user or a bot.
    UserId
}
id! {
    /// The id of a chat.
    ///
    /// The id of a chat cannot be passed as the id of a user:
    ///
    /// ```compile_fail,E0308
    /// # use crm_chat_domain::{ChatId, Entity, Removal};
    /// fn wrong(entity: Entity, chat: ChatId) -> Removal {
    ///     Removal::new(entity, chat) // the second argument is the user
    /// }
    /// ```
    ChatId
}
id! {
    /// The id of a CRM entity, unique among the entities of its [kind](crate::EntityKind).
    EntityId
}

#[cfg(feature = "serde")]
mod de {
    use std::fmt;
    use std::num::NonZeroI64;

    use serde::de::{Error, Unexpected, Visitor};

    /// Accepts an integer. The error for anything else describes an id.
    pub(super) struct Id;

    // A visitor instead of `i64::deserialize`, so that every error says what an id is.
    impl Visitor<'_> for Id {
        type Value = NonZeroI64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an id, a whole number from 1 to {}", i64::MAX)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<NonZeroI64, E> {
            NonZeroI64::new(value)
                .filter(|value| value.is_positive())
                .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<NonZeroI64, E> {
            let id = i64::try_from(value).ok().and_then(NonZeroI64::new);
            id.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
        }
    }
}
