//! Rules 1 to 5, over every value that a client can send.

use crm_chat_domain::{
    Argument, ChatId, Entity, EntityId, EntityKind, Input, Refusal, Removal, Request, UserId,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde::de::value::{BytesDeserializer, EnumAccessDeserializer, Error};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use crate::json::{Json, NumbersAsMaps, texts, values};

const KEYS: [&str; 4] = ["CRM_ENTITY_TYPE", "CRM_ENTITY", "USER_ID", "CHAT_ID"];

/// The class into which rules 1 to 5 put a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Id(i64),
    Absent,
    Invalid,
}

use Class::{Absent, Id, Invalid};

/// Every edge case of the specification, and ordinary values.
const VALUES: [(&str, Class); 69] = [
    ("null", Absent),
    ("false", Absent),
    ("true", Invalid),
    (r#""""#, Absent),
    ("[]", Absent),
    ("{}", Absent),
    ("[ ]", Absent),
    ("[0]", Invalid),
    ("[12]", Invalid),
    ("[[]]", Invalid),
    (r#"{"id": 12}"#, Invalid),
    (r#"{"": null}"#, Invalid),
    // Numbers.
    ("0", Absent),
    ("-0", Absent),
    ("0.0", Absent),
    ("-0.0", Absent),
    ("0e5", Absent),
    ("0E-0", Absent),
    ("1", Id(1)),
    ("2147483648", Id(1 << 31)),
    ("9007199254740991", Id((1 << 53) - 1)),
    ("9007199254740993", Id((1 << 53) + 1)),
    ("9223372036854775807", Id(i64::MAX)),
    ("9223372036854775808", Invalid),
    ("18446744073709551615", Invalid),
    ("18446744073709551616", Invalid),
    ("340282366920938463463374607431768211456", Invalid),
    ("-1", Invalid),
    ("-9223372036854775808", Invalid),
    ("-9223372036854775809", Invalid),
    ("12.5", Invalid),
    ("0.5", Invalid),
    ("-0.5", Invalid),
    ("1e-9", Invalid),
    ("12.0", Invalid),
    ("1e1", Invalid),
    ("12e0", Invalid),
    ("0.1e1", Invalid),
    // Strings.
    (r#""0""#, Absent),
    (r#""00""#, Invalid),
    (r#""-0""#, Invalid),
    (r#""0.0""#, Invalid),
    (r#"" ""#, Invalid),
    (r#"" 0""#, Invalid),
    (r#""false""#, Invalid),
    (r#""null""#, Invalid),
    (r#""12""#, Id(12)),
    (r#""0012""#, Id(12)),
    (r#"" \t\r\n12\n\r\t ""#, Id(12)),
    (r#""9223372036854775807""#, Id(i64::MAX)),
    (r#""000000000000000000000009223372036854775807""#, Id(i64::MAX)),
    (r#""9223372036854775808""#, Invalid),
    (r#""99999999999999999999999999999999999999999""#, Invalid),
    (r#""1 2""#, Invalid),
    (r#""+12""#, Invalid),
    (r#""-12""#, Invalid),
    (r#""12.0""#, Invalid),
    (r#""1e1""#, Invalid),
    (r#""0x0C""#, Invalid),
    (r#""12abc""#, Invalid),
    (r#""1_000""#, Invalid),
    (r#""\u00a012""#, Invalid),
    (r#""\u000b12""#, Invalid),
    (r#""12\u000c""#, Invalid),
    (r#""12\u0000""#, Invalid),
    (r#""12\u2003""#, Invalid),
    (r#""\u0661\u0662""#, Invalid),
    (r#""\u0967\u0968""#, Invalid),
    (r#""\uff11\uff12""#, Invalid),
];

/// Parses a request that is valid except for one field, which is missing if `value` is `None`.
fn parse_with(field: &str, value: Option<&str>) -> Result<Removal, Refusal> {
    let valid = [r#""deal""#, "288", "12", "8773"];
    let fields = KEYS.into_iter().zip(valid).filter_map(|(key, valid)| {
        let value = if key == field { value? } else { valid };
        Some(format!("{key:?}: {value}"))
    });
    let document = format!("{{{}}}", fields.collect::<Vec<_>>().join(", "));
    let request: Request = serde_json::from_str(&document).unwrap();
    request.parse()
}

fn removal() -> Removal {
    let entity = Entity::new(EntityKind::Deal, 288).unwrap();
    Removal::new(entity, UserId::new(12).unwrap()).in_chat(ChatId::new(8773).unwrap())
}

#[test]
fn every_invalid_value_of_every_field_has_its_code() {
    let missing = (None, Absent);
    let values = VALUES.into_iter().map(|(text, class)| (Some(text), class));
    for (value, class) in values.chain([missing]) {
        let mut good = removal();
        let user_id = match class {
            Id(id) => {
                good.user = UserId::new(id).unwrap();
                Ok(good)
            }
            Absent | Invalid => Err(Refusal::EmptyUser),
        };
        assert_eq!(parse_with("USER_ID", value), user_id, "{value:?}");

        let mut good = removal();
        let crm_entity = match class {
            Id(id) => {
                good.entity.id = EntityId::new(id).unwrap();
                Ok(good)
            }
            Absent => Err(Refusal::EmptyCrmData),
            Invalid => Err(Refusal::InvalidArgument(Argument::CrmEntity)),
        };
        assert_eq!(parse_with("CRM_ENTITY", value), crm_entity, "{value:?}");

        let mut good = removal();
        let chat_id = match class {
            Invalid => Err(Refusal::InvalidArgument(Argument::ChatId)),
            Absent | Id(_) => {
                good.chat = match class {
                    Id(id) => ChatId::new(id),
                    _ => None,
                };
                Ok(good)
            }
        };
        assert_eq!(parse_with("CHAT_ID", value), chat_id, "{value:?}");

        let kind = match class {
            Absent => Refusal::EmptyCrmData,
            Invalid | Id(_) => Refusal::UnknownEntityKind,
        };
        assert_eq!(parse_with("CRM_ENTITY_TYPE", value), Err(kind), "{value:?}");
    }
}

#[test]
fn kind_is_read_in_any_letter_case_and_not_trimmed() {
    let kind = |text| parse_with("CRM_ENTITY_TYPE", Some(text)).map(|removal| removal.entity.kind);
    for (text, expected) in [
        (r#""lead""#, EntityKind::Lead),
        (r#""LEAD""#, EntityKind::Lead),
        (r#""dEaL""#, EntityKind::Deal),
        (r#""Company""#, EntityKind::Company),
        (r#""contacT""#, EntityKind::Contact),
    ] {
        assert_eq!(kind(text), Ok(expected), "{text}");
    }
    for text in [
        r#""Lead ""#,
        r#"" deal""#,
        r#""deal\n""#,
        r#""deals""#,
        r#""de""#,
        r#""\uff44eal""#,
        r#""quote""#,
        r#"["deal"]"#,
    ] {
        assert_eq!(kind(text), Err(Refusal::UnknownEntityKind), "{text}");
    }
}

#[test]
fn last_of_repeated_keys_wins_and_other_keys_are_ignored() {
    let document = r#"{"USER_ID": "x", "CRM_ENTITY": 288, "CHAT_ID": 1, "CRM_ENTITY_TYPE": "deal",
        "CHAT_ID": 8773, "USER_ID": 12, "user_id": 13, "USER_ID ": 14, "if_absent": "accept",
        "": [{}]}"#;
    let request: Request = serde_json::from_str(document).unwrap();
    assert_eq!(request.parse(), Ok(removal()));
}

#[test]
fn document_that_is_not_an_object_is_not_a_request() {
    for document in ["", "null", "12", "[]", r#""USER_ID""#, "{", r#"{"USER_ID": 12,}"#, "{12: 12}"]
    {
        assert!(serde_json::from_str::<Request>(document).is_err(), "{document}");
    }
}

#[test]
fn deeply_nested_value_is_not_an_id() {
    let depth = 100_000;
    let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = format!("{}12{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for text in [lists, maps] {
        assert_eq!(parse_with("USER_ID", Some(&text)), Err(Refusal::EmptyUser));
    }
}

/// Asserts the reading of a number that is passed as text, as `serde_json` does with its feature
/// `arbitrary_precision`.
#[track_caller]
fn assert_number(text: &str, expected: &Input) {
    let number = Json::Number(text.to_owned());
    let input = Input::deserialize(NumbersAsMaps(&number)).unwrap();
    assert_eq!(&input, expected, "{text}");
}

#[test]
fn number_passed_as_text_is_read_as_a_number() {
    assert_number("12", &Input::Number(12));
    assert_number("0", &Input::Number(0));
    assert_number("18446744073709551615", &Input::Number(u64::MAX));
    assert_number("18446744073709551616", &Input::Other);
    assert_number("-12", &Input::Other);
    assert_number("-0", &Input::Absent);
    assert_number("0.00", &Input::Absent);
    assert_number("0e400", &Input::Absent);
    assert_number("12.0", &Input::Other);
    assert_number("1e400", &Input::Other);
    // A 64-bit float rounds this to zero, with and without the feature.
    assert_number("1e-400", &Input::Absent);
    // Not JSON numbers: a client wrote such a map itself.
    assert_number("+12", &Input::Other);
    assert_number("012", &Input::Number(12));
    assert_number("", &Input::Other);
    assert_number("twelve", &Input::Other);
    assert_number(" 12", &Input::Other);
}

#[test]
fn map_that_resembles_a_number_is_not_an_id() {
    for map in [
        r#"{"$serde_json::private::Number": 12}"#,
        r#"{"$serde_json::private::Number": {"a": [1]}}"#,
        r#"{"$serde_json::private::Number": "12", "a": 1}"#,
        r#"{"a": 1, "$serde_json::private::Number": "12"}"#,
    ] {
        assert_eq!(parse_with("USER_ID", Some(map)), Err(Refusal::EmptyUser), "{map}");
    }
}

/// A deserializer that uses one of the visits that JSON never makes.
enum Wrapped {
    Some(u64),
    Newtype(u64),
    None,
}

impl<'de> Deserializer<'de> for Wrapped {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Some(number) => visitor.visit_some(number.into_deserializer()),
            Self::Newtype(number) => visitor.visit_newtype_struct(number.into_deserializer()),
            Self::None => visitor.visit_none(),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

#[test]
fn other_formats_yield_the_same_values() {
    fn read<'de>(deserializer: impl Deserializer<'de, Error = Error>) -> Input {
        Input::deserialize(deserializer).unwrap()
    }

    assert_eq!(read(12_u128.into_deserializer()), Input::Number(12));
    assert!(read(0_u128.into_deserializer()).is_absent());
    assert_eq!(read(u128::MAX.into_deserializer()), Input::Other);
    assert_eq!(read(12_i128.into_deserializer()), Input::Number(12));
    assert_eq!(read((-12_i128).into_deserializer()), Input::Other);
    assert_eq!(read(i128::MIN.into_deserializer()), Input::Other);
    assert_eq!(read(12_u8.into_deserializer()), Input::Number(12));
    assert_eq!(read((-12_i8).into_deserializer()), Input::Other);
    assert_eq!(read((-0.0_f32).into_deserializer()), Input::Absent);
    assert_eq!(read(f64::NAN.into_deserializer()), Input::Other);
    assert_eq!(read('7'.into_deserializer()), Input::Text("7".to_owned()));
    assert_eq!(read(BytesDeserializer::new(b"12")), Input::Other);
    assert_eq!(read(().into_deserializer()), Input::Absent);
    assert_eq!(read(Wrapped::None), Input::Absent);
    assert_eq!(read(Wrapped::Some(12)), Input::Number(12));
    assert_eq!(read(Wrapped::Newtype(12)), Input::Number(12));
    let keyed_by_numbers = serde::de::value::MapDeserializer::new([(1_u8, 2_u8)].into_iter());
    assert_eq!(read(keyed_by_numbers), Input::Other);
}

#[test]
fn value_foreign_to_json_is_refused_with_the_expected_type() {
    let variant: EnumAccessDeserializer<_> =
        EnumAccessDeserializer::new(IntoDeserializer::<Error>::into_deserializer("A"));
    let error = Input::deserialize(variant).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: enum, expected any value");
}

#[test]
fn literal_becomes_the_same_number() {
    assert_eq!(Input::from(12), Input::Number(12));
    assert!(Input::from(0).is_absent());
    assert_eq!(Input::from(-12), Input::Other);
    assert_eq!(Input::from(12_i64), Input::Number(12));
    assert_eq!(Input::from(Some(12)), Input::Number(12));
    assert_eq!(Input::from(None::<i32>), Input::Absent);
}

#[test]
fn typed_request_survives_the_round_trip() {
    for removal in [removal(), Removal::new(removal().entity, removal().user)] {
        let removal = removal.if_absent(crm_chat_domain::IfAbsent::Accept);
        assert_eq!(Request::from(&removal).parse(), Ok(removal));
    }
}

/// A valid request or an empty one, followed by up to four arbitrary entries.
fn documents() -> impl Strategy<Value = Vec<(String, Json)>> {
    let good = KEYS.into_iter().zip(["DEAL", "288", "12", "8773"]);
    let good = good.map(|(key, value)| (key.to_owned(), Json::Text(value.to_owned())));
    let begun = select(vec![good.collect(), Vec::new()]);
    let key = prop_oneof![
        8 => select(KEYS.to_vec()).prop_map(str::to_owned),
        1 => select(vec!["user_id", "USER_ID ", "if_absent"]).prop_map(str::to_owned),
        1 => texts(),
    ];
    let more = prop::collection::vec((key, values()), 0..5);
    (begun, more).prop_map(|(begun, more)| [begun, more].concat())
}

/// Returns the answer of rules 1 to 5, computed independently from JSON as written.
fn expected(document: &[(String, Json)]) -> Result<Removal, Refusal> {
    let field = |name: &str| {
        let last = document.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value)
    };
    let [kind, entity, user, chat] = KEYS.map(field);
    let user = Json::id(user).and_then(UserId::new);
    let id = Json::id(entity).and_then(EntityId::new);
    let given = Json::id(chat).and_then(ChatId::new);

    let user = user.ok_or(Refusal::EmptyUser)?;
    if Json::is_absent(kind) || Json::is_absent(entity) {
        return Err(Refusal::EmptyCrmData);
    }
    let id = id.ok_or(Refusal::InvalidArgument(Argument::CrmEntity))?;
    if !Json::is_absent(chat) && given.is_none() {
        return Err(Refusal::InvalidArgument(Argument::ChatId));
    }
    let kind = Json::kind(kind).ok_or(Refusal::UnknownEntityKind)?;
    let mut removal = Removal::new(Entity { kind, id }, user);
    removal.chat = given;
    Ok(removal)
}

proptest! {
    #[test]
    fn arbitrary_document_is_answered_as_by_the_table(document in documents()) {
        let expected = expected(&document);
        let document = Json::Map(document);
        let text = document.to_string();
        let plain: Request = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(plain.parse(), expected);
        let numbers_as_maps = Request::deserialize(NumbersAsMaps(&document)).unwrap();
        prop_assert_eq!(numbers_as_maps.parse(), expected);
        // `serde_json` limits the nesting of a `Value`, but not that of a request.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            let from_value: Request = serde_json::from_value(value).unwrap();
            prop_assert_eq!(from_value.parse(), expected);
        }
    }

    #[test]
    fn text_is_parsed_as_the_same_string_in_json(text in texts()) {
        let id = Json::id(Some(&Json::Text(text.clone())));
        prop_assert_eq!(text.parse::<UserId>().ok(), id.and_then(UserId::new));
        prop_assert_eq!(Input::from(text.as_str()).to_id::<ChatId>(), id.and_then(ChatId::new));
        let kind = Json::kind(Some(&Json::Text(text.clone())));
        prop_assert_eq!(text.parse::<EntityKind>().ok(), kind);
    }

    #[test]
    fn damaged_document_does_not_panic(
        document in documents(),
        at in any::<usize>(),
        byte: u8,
    ) {
        let mut text = Json::Map(document).to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(request) = serde_json::from_slice::<Request>(&text) {
            let _ = request.parse();
        }
    }
}
