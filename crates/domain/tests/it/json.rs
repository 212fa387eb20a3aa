//! JSON as text: numbers, repeated keys and spelling are kept as written.
//!
//! It is the reference for the fields of a request, independent of `serde_json`.

use std::fmt;

use crm_chat_domain::EntityKind;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

/// A JSON value as written.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A number as text, because its spelling matters: `12.0` is not an id.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{}:{value}", quoted(key));
                let entries: Vec<_> = entries.iter().map(entry).collect();
                write!(f, "{{{}}}", entries.join(","))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The meaning of a field's value by the specification; `None` is a missing field.
impl Json {
    pub(crate) fn is_absent(value: Option<&Self>) -> bool {
        match value {
            None | Some(Self::Null | Self::Bool(false)) => true,
            Some(Self::Bool(true)) => false,
            Some(Self::Number(text)) => {
                let digits = text.split(['e', 'E']).next().unwrap();
                digits.chars().all(|c| matches!(c, '-' | '.' | '0'))
            }
            Some(Self::Text(text)) => matches!(text.as_str(), "" | "0"),
            Some(Self::List(items)) => items.is_empty(),
            Some(Self::Map(entries)) => entries.is_empty(),
        }
    }

    pub(crate) fn id(value: Option<&Self>) -> Option<i64> {
        let digits = match value? {
            Self::Number(text) => text,
            Self::Text(text) => text.trim_matches([' ', '\t', '\r', '\n']),
            _ => return None,
        };
        let decimal = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        let significant = digits.trim_start_matches('0');
        let small = significant.len() <= 19;
        (decimal && small).then(|| significant.parse().ok())?
    }

    pub(crate) fn kind(value: Option<&Self>) -> Option<EntityKind> {
        let Some(Self::Text(text)) = value else {
            return None;
        };
        match text.to_ascii_lowercase().as_str() {
            "lead" => Some(EntityKind::Lead),
            "deal" => Some(EntityKind::Deal),
            "company" => Some(EntityKind::Company),
            "contact" => Some(EntityKind::Contact),
            _ => None,
        }
    }
}

/// A deserializer that passes a number as a map of one entry, its text, as `serde_json` does with
/// its feature `arbitrary_precision`.
pub(crate) struct NumbersAsMaps<'a>(pub(crate) &'a Json);

impl<'de> Deserializer<'de> for NumbersAsMaps<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(text) => {
                let entry = ("$serde_json::private::Number", text.as_str());
                visitor.visit_map(MapDeserializer::new(std::iter::once(entry)))
            }
            Json::Text(text) => visitor.visit_str(text),
            Json::List(items) => {
                SeqDeserializer::new(items.iter().map(NumbersAsMaps)).deserialize_any(visitor)
            }
            Json::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, value)| (key.as_str(), NumbersAsMaps(value)));
                MapDeserializer::new(entries).deserialize_any(visitor)
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl IntoDeserializer<'_> for NumbersAsMaps<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Any value: mostly an edge case of the rules, sometimes a large and deep one.
pub(crate) fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Bool),
        4 => numbers().prop_map(Json::Number),
        6 => texts().prop_map(Json::Text),
    ];
    let nested = leaf.prop_recursive(6, 24, 4, |inner| {
        let entry = (texts(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Json::List),
            prop::collection::vec(entry, 0..4).prop_map(Json::Map),
        ]
    });
    let tower = (1..400_usize, any::<bool>()).prop_map(|(height, list)| tower(height, list));
    prop_oneof![20 => nested, 1 => tower]
}

/// Returns lists nested in lists, or maps nested in maps.
fn tower(height: usize, list: bool) -> Json {
    (0..height).fold(Json::Number("12".to_owned()), |inner, _| {
        if list { Json::List(vec![inner]) } else { Json::Map(vec![("a".to_owned(), inner)]) }
    })
}

/// Numbers in every spelling that JSON allows.
fn numbers() -> impl Strategy<Value = String> {
    let edges = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0e0",
        "0E+99",
        "0.000e-5",
        "1",
        "-1",
        "12",
        "0.5",
        "-0.5",
        "1e-9",
        "12.0",
        "12.5",
        "12e0",
        "12E2",
        "1e-2",
        "2147483648",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "340282366920938463463374607431768211456",
    ];
    prop_oneof![
        3 => select(edges.to_vec()).prop_map(str::to_owned),
        2 => any::<u64>().prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        2 => "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
    ]
}

/// Texts that resemble an id or a kind, and texts that do not.
///
/// The key that marks a map as a number is not among them.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let edges = [
        "",
        "0",
        "00",
        "-0",
        " ",
        "\t",
        "false",
        "null",
        "12",
        "012",
        "\t 12\r\n",
        "1 2",
        "+12",
        "-12",
        "12.0",
        "1e2",
        "0x0C",
        "12abc",
        "1_000",
        "\u{a0}12",
        "12\u{2003}",
        "\u{b}12",
        "12\u{c}",
        "12\0",
        "\u{feff}12",
        "١٢",
        "१२",
        "１２",
        "²",
        "9223372036854775807",
        "9223372036854775808",
        "Lead",
        "deal",
        "COMPANY",
        "contact",
        "Lead ",
        "\tdeal",
        "deals",
        "ｄｅａｌ",
    ];
    prop_oneof![
        4 => select(edges.to_vec()).prop_map(str::to_owned),
        2 => "[ \t\r\n]{0,2}0{0,3}[0-9]{1,21}[ \t\r\n]{0,2}",
        1 => "([lL][eE][aA][dD]|[dD][eE][aA][lL])[ s]?",
        1 => "[-+0-9a-fxA-F. _]{0,6}",
        1 => any::<String>(),
    ]
}
