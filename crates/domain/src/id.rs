//! One newtype for each kind of id.

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

/// Says that a value is no id.
///
/// An id is a whole number from 1 to 9223372036854775807.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id must be a whole number from 1 to {}", i64::MAX)]
pub struct InvalidId;

/// Reads the id that a text writes: ASCII digits, leading zeros allowed, with space, tab, CR and LF around them.
fn parse(text: &str) -> Option<NonZeroI64> {
    let digits = text.trim_matches([' ', '\t', '\r', '\n']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    NonZeroI64::new(digits.parse().ok()?)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A whole number from 1 to 9223372036854775807. It fits a signed 64-bit column, and an `Option` of it
        /// is no larger than the id.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroI64);

        impl $name {
            /// The smallest id, 1.
            pub const MIN: Self = Self(NonZeroI64::new(1).unwrap());

            /// The largest id, 9223372036854775807.
            pub const MAX: Self = Self(NonZeroI64::MAX);

            /// Makes an id of a number from 1 to 9223372036854775807; `None` for any other.
            #[must_use]
            pub const fn new(value: i64) -> Option<Self> {
                match NonZeroI64::new(value) {
                    Some(value) if value.is_positive() => Some(Self(value)),
                    _ => None,
                }
            }

            /// Returns the number, from 1 to 9223372036854775807.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0.get()
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidId;

            fn try_from(value: i64) -> Result<Self, InvalidId> {
                Self::new(value).ok_or(InvalidId)
            }
        }

        /// So that a literal can be an id: `12.try_into()`.
        impl TryFrom<i32> for $name {
            type Error = InvalidId;

            fn try_from(value: i32) -> Result<Self, InvalidId> {
                i64::from(value).try_into()
            }
        }

        impl TryFrom<u64> for $name {
            type Error = InvalidId;

            fn try_from(value: u64) -> Result<Self, InvalidId> {
                i64::try_from(value).map_err(|_| InvalidId)?.try_into()
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.get()
            }
        }

        /// Reads ASCII decimal digits. Leading zeros are allowed, and space, tab, CR and LF around the digits.
        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self).ok_or(InvalidId)
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

        /// Reads an integer; a string of digits is no id here.
        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_i64(de::Id).map(Self)
            }
        }
    };
}

id! {
    /// Identifies a user or a bot.
    UserId
}
id! {
    /// Identifies a chat.
    ///
    /// A chat's id cannot stand where a user's belongs:
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
    /// Identifies a CRM entity among those of its [kind](crate::EntityKind).
    EntityId
}

#[cfg(feature = "serde")]
mod de {
    use std::fmt;
    use std::num::NonZeroI64;

    use serde::de::{Error, Unexpected, Visitor};

    /// Reads an integer, and says of anything else what an id must be.
    pub(super) struct Id;

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
