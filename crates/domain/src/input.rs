//! Untrusted values of a request.

/// An untrusted value of a request, as received.
///
/// It keeps only the distinctions that the rules make. It can therefore be made from JSON (with the
/// feature `serde`, from any self-describing format), from a form field or from a command-line
/// argument:
///
/// ```
/// use crm_chat_domain::{Input, UserId};
///
/// assert_eq!(Input::from(12_u64).to_id(), UserId::new(12));
/// assert_eq!(Input::from(" 012\n").to_id(), UserId::new(12));
/// assert_eq!(Input::from("12abc").to_id::<UserId>(), None);
/// assert!(Input::from("0").is_absent() && !Input::from("00").is_absent());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Missing, `null`, `false`, an empty list or an empty map.
    #[default]
    Absent,
    /// A whole number, zero or greater. Zero counts as absent.
    Number(u64),
    /// A string. `""` and `"0"` count as absent.
    Text(String),
    /// Any other value: `true`, a negative number, a number with a fraction or an exponent, a list
    /// or map that is not empty.
    Other,
}

impl Input {
    /// Returns `true` if the value counts as absent.
    ///
    /// The original system treats as absent every value that PHP calls empty, and so does this one:
    /// zero, `""` and `"0"` are absent too.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Absent | Self::Number(0) => true,
            Self::Text(text) => text.is_empty() || text == "0",
            Self::Number(_) | Self::Other => false,
        }
    }

    /// Returns the value as an id, if it is a number or a string in the form that
    /// [`UserId`](crate::UserId) parses.
    #[must_use]
    pub fn to_id<I: TryFrom<u64> + std::str::FromStr>(&self) -> Option<I> {
        match self {
            Self::Number(number) => I::try_from(*number).ok(),
            Self::Text(text) => text.parse().ok(),
            Self::Absent | Self::Other => None,
        }
    }
}

impl From<u64> for Input {
    fn from(value: u64) -> Self {
        Self::Number(value)
    }
}

impl From<i64> for Input {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Other, Self::Number)
    }
}

/// Converts a literal: `12.into()`, since an integer literal is an `i32` by default.
impl From<i32> for Input {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<f64> for Input {
    fn from(value: f64) -> Self {
        if value == 0.0 { Self::Absent } else { Self::Other }
    }
}

impl From<bool> for Input {
    fn from(value: bool) -> Self {
        if value { Self::Other } else { Self::Absent }
    }
}

impl From<&str> for Input {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Input {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Input>> From<Option<T>> for Input {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

#[cfg(feature = "serde")]
mod de {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

    use super::Input;

    /// The key under which `serde_json` passes a number as text if any crate of the build enables
    /// its feature `arbitrary_precision`.
    ///
    /// Without this key, such a build would take every number for a map, and every request would be
    /// refused. A client that sends such a map itself has sent the number.
    const NUMBER_TEXT: &str = "$serde_json::private::Number";

    impl<'de> Deserialize<'de> for Input {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Untrusted)
        }
    }

    struct Untrusted;

    impl<'de> Visitor<'de> for Untrusted {
        type Value = Input;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_i128<E: Error>(self, value: i128) -> Result<Input, E> {
            Ok(u64::try_from(value).map_or(Input::Other, Input::Number))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_u128<E: Error>(self, value: u128) -> Result<Input, E> {
            Ok(u64::try_from(value).map_or(Input::Other, Input::Number))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_string<E: Error>(self, value: String) -> Result<Input, E> {
            Ok(value.into())
        }

        fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Input, E> {
            Ok(Input::Other)
        }

        fn visit_none<E: Error>(self) -> Result<Input, E> {
            Ok(Input::Absent)
        }

        fn visit_unit<E: Error>(self) -> Result<Input, E> {
            Ok(Input::Absent)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
            Input::deserialize(deserializer)
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Input, D::Error> {
            Input::deserialize(deserializer)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Input, A::Error> {
            let mut input = Input::Absent;
            // Read to the end even if the first element decides: a half-read list is an error.
            while list.next_element::<IgnoredAny>()?.is_some() {
                input = Input::Other;
            }
            Ok(input)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input, A::Error> {
            // The first key decides: only a map of exactly one entry can be a number.
            let Some(key) = map.next_key::<Input>()? else {
                return Ok(Input::Absent);
            };
            let mut input = Input::Other;
            if matches!(key, Input::Text(key) if key == NUMBER_TEXT) {
                if let Input::Text(text) = map.next_value()? {
                    input = number(&text);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                input = Input::Other;
            }
            Ok(input)
        }
    }

    /// Classifies the text of a JSON number as `visit_u64`, `visit_i64` and `visit_f64` would.
    fn number(text: &str) -> Input {
        let whole = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if whole => Input::Number(number),
            _ => text.parse::<f64>().map_or(Input::Other, Input::from),
        }
    }
}
