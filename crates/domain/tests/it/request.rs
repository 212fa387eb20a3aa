//! Rules 1 to 5 over anything that can come over the wire.

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

/// What rules 1 to 5 say of each field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Id(i64),
    Absent,
    Odd,
}

use Class::{Absent, Id, Odd};

/// Every odd value of the spec, and the plain ones.
const VALUES: [(&str, Class); 69] = [
    ("null", Absent),
    ("false", Absent),
    ("true", Odd),
    (r#""""#, Absent),
    ("[]", Absent),
    ("{}", Absent),
    ("[ ]", Absent),
    ("[0]", Odd),
    ("[12]", Odd),
    ("[[]]", Odd),
    (r#"{"id": 12}"#, Odd),
    (r#"{"": null}"#, Odd),
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
    ("9223372036854775808", Odd),
    ("18446744073709551615", Odd),
    ("18446744073709551616", Odd),
    ("340282366920938463463374607431768211456", Odd),
    ("-1", Odd),
    ("-9223372036854775808", Odd),
    ("-9223372036854775809", Odd),
    ("12.5", Odd),
    ("0.5", Odd),
    ("-0.5", Odd),
    ("1e-9", Odd),
    ("12.0", Odd),
    ("1e1", Odd),
    ("12e0", Odd),
    ("0.1e1", Odd),
    // Strings.
    (r#""0""#, Absent),
    (r#""00""#, Odd),
    (r#""-0""#, Odd),
    (r#""0.0""#, Odd),
    (r#"" ""#, Odd),
    (r#"" 0""#, Odd),
    (r#""false""#, Odd),
    (r#""null""#, Odd),
    (r#""12""#, Id(12)),
    (r#""0012""#, Id(12)),
    (r#"" \t\r\n12\n\r\t ""#, Id(12)),
    (r#""9223372036854775807""#, Id(i64::MAX)),
    (r#""000000000000000000000009223372036854775807""#, Id(i64::MAX)),
    (r#""9223372036854775808""#, Odd),
    (r#""99999999999999999999999999999999999999999""#, Odd),
    (r#""1 2""#, Odd),
    (r#""+12""#, Odd),
    (r#""-12""#, Odd),
    (r#""12.0""#, Odd),
    (r#""1e1""#, Odd),
    (r#""0x0C""#, Odd),
    (r#""12abc""#, Odd),
    (r#""1_000""#, Odd),
    (r#""\u00a012""#, Odd),
    (r#""\u000b12""#, Odd),
    (r#""12\u000c""#, Odd),
    (r#""12\u0000""#, Odd),
    (r#""12\u2003""#, Odd),
    (r#""\u0661\u0662""#, Odd),
    (r#""\u0967\u0968""#, Odd),
    (r#""\uff11\uff12""#, Odd),
];

/// Reads a request that is good but for one field, which is missing if there is no value.
fn parse_with(field: &str, value: Option<&str>) -> Result<Removal, Refusal> {
    let good = [r#""deal""#, "288", "12", "8773"];
    let fields = KEYS.into_iter().zip(good).filter_map(|(key, good)| {
        let value = if key == field { value? } else { good };
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
fn every_odd_value_of_every_field_has_its_code() {
    let missing = (None, Absent);
    let values = VALUES.into_iter().map(|(text, class)| (Some(text), class));
    for (value, class) in values.chain([missing]) {
        let mut good = removal();
        let user_id = match class {
            Id(id) => {
                good.user = UserId::new(id).unwrap();
                Ok(good)
            }
            Absent | Odd => Err(Refusal::EmptyUser),
        };
        assert_eq!(parse_with("USER_ID", value), user_id, "{value:?}");

        let mut good = removal();
        let crm_entity = match class {
            Id(id) => {
                good.entity.id = EntityId::new(id).unwrap();
                Ok(good)
            }
            Absent => Err(Refusal::EmptyCrmData),
            Odd => Err(Refusal::InvalidArgument(Argument::CrmEntity)),
        };
        assert_eq!(parse_with("CRM_ENTITY", value), crm_entity, "{value:?}");

        let mut good = removal();
        let chat_id = match class {
            Odd => Err(Refusal::InvalidArgument(Argument::ChatId)),
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
            Odd | Id(_) => Refusal::UnknownEntityKind,
        };
        assert_eq!(parse_with("CRM_ENTITY_TYPE", value), Err(kind), "{value:?}");
    }
}

#[test]
fn a_kind_is_read_in_any_letter_case_and_not_trimmed() {
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
fn of_a_key_given_twice_the_last_counts_and_others_are_ignored() {
    let document = r#"{"USER_ID": "x", "CRM_ENTITY": 288, "CHAT_ID": 1, "CRM_ENTITY_TYPE": "deal",
        "CHAT_ID": 8773, "USER_ID": 12, "user_id": 13, "USER_ID ": 14, "if_absent": "accept", "": [{}]}"#;
    let request: Request = serde_json::from_str(document).unwrap();
    assert_eq!(request.parse(), Ok(removal()));
}

#[test]
fn what_is_no_object_is_no_request() {
    for document in ["", "null", "12", "[]", r#""USER_ID""#, "{", r#"{"USER_ID": 12,}"#, "{12: 12}"]
    {
        assert!(serde_json::from_str::<Request>(document).is_err(), "{document}");
    }
}

#[test]
fn deep_nesting_is_no_id() {
    let depth = 100_000;
    let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = format!("{}12{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for text in [lists, maps] {
        assert_eq!(parse_with("USER_ID", Some(&text)), Err(Refusal::EmptyUser));
    }
}

/// A number that comes as text, as it does from `serde_json` with its feature `arbitrary_precision`.
#[track_caller]
fn check_number(text: &str, expected: &Input) {
    let number = Json::Number(text.to_owned());
    let input = Input::deserialize(NumbersAsMaps(&number)).unwrap();
    assert_eq!(&input, expected, "{text}");
}

#[test]
fn a_number_that_comes_as_text_is_read_as_a_number() {
    check_number("12", &Input::Number(12));
    check_number("0", &Input::Number(0));
    check_number("18446744073709551615", &Input::Number(u64::MAX));
    check_number("18446744073709551616", &Input::Other);
    check_number("-12", &Input::Other);
    check_number("-0", &Input::Absent);
    check_number("0.00", &Input::Absent);
    check_number("0e400", &Input::Absent);
    check_number("12.0", &Input::Other);
    check_number("1e400", &Input::Other);
    // What a 64-bit float cannot tell from zero, plain handling cannot either.
    check_number("1e-400", &Input::Absent);
    // No JSON numbers: somebody wrote such a map.
    check_number("+12", &Input::Other);
    check_number("012", &Input::Number(12));
    check_number("", &Input::Other);
    check_number("twelve", &Input::Other);
    check_number(" 12", &Input::Other);
}

#[test]
fn a_map_that_only_looks_like_a_number_is_no_id() {
    for map in [
        r#"{"$serde_json::private::Number": 12}"#,
        r#"{"$serde_json::private::Number": {"a": [1]}}"#,
        r#"{"$serde_json::private::Number": "12", "a": 1}"#,
        r#"{"a": 1, "$serde_json::private::Number": "12"}"#,
    ] {
        assert_eq!(parse_with("USER_ID", Some(map)), Err(Refusal::EmptyUser), "{map}");
    }
}

/// Hands over what is within through one of the visits that JSON has no use for.
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn other_formats_hand_over_the_same_values() {
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
fn what_no_json_holds_is_refused_by_saying_what_is_taken() {
    let variant: EnumAccessDeserializer<_> =
        EnumAccessDeserializer::new(IntoDeserializer::<Error>::into_deserializer("A"));
    let error = Input::deserialize(variant).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: enum, expected any value");
}

#[test]
fn a_literal_is_the_number_that_it_writes() {
    assert_eq!(Input::from(12), Input::Number(12));
    assert!(Input::from(0).is_absent());
    assert_eq!(Input::from(-12), Input::Other);
    assert_eq!(Input::from(12_i64), Input::Number(12));
    assert_eq!(Input::from(Some(12)), Input::Number(12));
    assert_eq!(Input::from(None::<i32>), Input::Absent);
}

#[test]
fn a_typed_request_comes_back_as_it_was() {
    for removal in [removal(), Removal::new(removal().entity, removal().user)] {
        let removal = removal.if_absent(crm_chat_domain::IfAbsent::Accept);
        assert_eq!(Request::from(&removal).parse(), Ok(removal));
    }
}

/// A good request, or nothing yet, and up to four entries that make it worse.
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

/// Rules 1 to 5 once more, over JSON as it is written.
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
    fn any_document_gets_the_answer_of_the_table(document in documents()) {
        let expected = expected(&document);
        let document = Json::Map(document);
        let text = document.to_string();
        let plain: Request = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(plain.parse(), expected);
        let numbers_as_maps = Request::deserialize(NumbersAsMaps(&document)).unwrap();
        prop_assert_eq!(numbers_as_maps.parse(), expected);
        // A document that nests deeper than `serde_json` follows never becomes a value.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            let from_value: Request = serde_json::from_value(value).unwrap();
            prop_assert_eq!(from_value.parse(), expected);
        }
    }

    #[test]
    fn any_text_is_an_id_as_it_would_be_in_json(text in texts()) {
        let id = Json::id(Some(&Json::Text(text.clone())));
        prop_assert_eq!(text.parse::<UserId>().ok(), id.and_then(UserId::new));
        prop_assert_eq!(Input::from(text.as_str()).to_id::<ChatId>(), id.and_then(ChatId::new));
        let kind = Json::kind(Some(&Json::Text(text.clone())));
        prop_assert_eq!(text.parse::<EntityKind>().ok(), kind);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(
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
