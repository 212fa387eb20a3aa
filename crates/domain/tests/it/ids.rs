//! Ids and entities, over the whole range of their numbers.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use crm_chat_domain::{
    ChatId, Entity, EntityId, EntityKind, InvalidIdError, ParseEntityError, ParseEntityKindError,
    UserId,
};

/// Numbers that a 32-bit integer or a 64-bit float would change, and the ends of the range.
const EDGES: [i64; 8] =
    [1, 2, (1 << 31) - 1, 1 << 31, (1 << 53) - 1, (1 << 53) + 1, i64::MAX - 1, i64::MAX];

/// The operations that all types of id have.
trait Id:
    TryFrom<i64, Error = InvalidIdError>
    + TryFrom<u64, Error = InvalidIdError>
    + FromStr<Err = InvalidIdError>
    + Into<i64>
    + Display
    + Debug
    + PartialEq
{
}

impl Id for UserId {}
impl Id for ChatId {}
impl Id for EntityId {}

/// Asserts that a type of id accepts exactly the numbers from 1 to `i64::MAX`.
fn assert_edges<I: Id>(name: &str) {
    for edge in EDGES {
        let id = || I::try_from(edge).unwrap();
        assert_eq!(I::try_from(edge.unsigned_abs()), Ok(id()));
        assert_eq!(id().to_string(), edge.to_string());
        assert_eq!(format!("{:?}", id()), format!("{name}({edge})"));
        assert_eq!(edge.to_string().parse(), Ok(id()));
        assert_eq!(format!("\t 00{edge}\r\n").parse(), Ok(id()));
        assert_eq!(id().into(), edge);
    }
    for number in [0, -1, i64::MIN] {
        assert_eq!(I::try_from(number), Err(InvalidIdError));
    }
    for number in [0, 1 << 63, u64::MAX] {
        assert_eq!(I::try_from(number), Err(InvalidIdError));
    }
    for text in ["", "0", "-1", "+1", "1.0", "9223372036854775808", "\u{b}1"] {
        assert_eq!(text.parse::<I>(), Err(InvalidIdError), "{text:?}");
    }
}

#[test]
fn ids_are_exact_from_1_to_the_largest() {
    assert_edges::<UserId>("UserId");
    assert_edges::<ChatId>("ChatId");
    assert_edges::<EntityId>("EntityId");
    assert_eq!((UserId::MIN.get(), UserId::MAX.get()), (1, i64::MAX));
    assert_eq!(size_of::<Option<ChatId>>(), size_of::<i64>());
    let message = "an id must be a whole number from 1 to 9223372036854775807";
    assert_eq!(InvalidIdError.to_string(), message);
}

#[test]
fn entity_is_written_as_kind_and_id() {
    for (kind, name) in EntityKind::ALL.into_iter().zip(["lead", "deal", "company", "contact"]) {
        assert_eq!((kind.as_str(), kind.to_string().as_str()), (name, name));
        assert_eq!(name.parse(), Ok(kind));
        assert_eq!(name.to_uppercase().parse(), Ok(kind));
        for id in EDGES {
            let entity = Entity::new(kind, id).unwrap();
            assert_eq!(entity.to_string(), format!("{name}:{id}"));
            assert_eq!(entity.to_string().parse(), Ok(entity));
        }
    }
    assert!(EntityKind::ALL.is_sorted());
    assert_eq!(format!("{:>8}|", EntityKind::Deal), "    deal|");
    assert_eq!("Deal: 0288".parse(), Ok(Entity::new(EntityKind::Deal, 288).unwrap()));
    assert_eq!(Entity::new(EntityKind::Deal, 0), Err(InvalidIdError));
}

#[test]
fn invalid_entity_is_refused_for_its_invalid_part() {
    for (text, error) in [
        ("", ParseEntityError::NoColon),
        ("deal", ParseEntityError::NoColon),
        ("deal 288", ParseEntityError::NoColon),
        (":", ParseEntityError::Kind(ParseEntityKindError)),
        (":288", ParseEntityError::Kind(ParseEntityKindError)),
        ("deal :288", ParseEntityError::Kind(ParseEntityKindError)),
        ("chat:x", ParseEntityError::Kind(ParseEntityKindError)),
        ("deal:", ParseEntityError::Id(InvalidIdError)),
        ("deal:0", ParseEntityError::Id(InvalidIdError)),
        ("deal:-5", ParseEntityError::Id(InvalidIdError)),
        ("deal:288:1", ParseEntityError::Id(InvalidIdError)),
    ] {
        assert_eq!(text.parse::<Entity>(), Err(error), "{text:?}");
    }
    let no_colon = ParseEntityError::NoColon.to_string();
    assert_eq!(no_colon, "an entity must be written as `KIND:ID`, such as `deal:288`");
    let unknown = "a kind of entity must be one of `lead`, `deal`, `company`, `contact`";
    assert_eq!(ParseEntityKindError.to_string(), unknown);
    assert_eq!(ParseEntityError::Kind(ParseEntityKindError).to_string(), unknown);
}

#[cfg(feature = "serde")]
mod json {
    use super::{ChatId, EDGES, Entity, EntityKind, UserId};

    #[test]
    fn ids_are_exact_in_json() {
        for edge in EDGES {
            let id = UserId::new(edge).unwrap();
            assert_eq!(serde_json::to_string(&id).unwrap(), edge.to_string());
            assert_eq!(serde_json::from_str::<UserId>(&edge.to_string()).unwrap(), id);
        }
    }

    #[test]
    fn invalid_id_is_refused_with_a_description_of_an_id() {
        for (json, found) in [
            ("0", "invalid value: integer `0`"),
            ("-1", "invalid value: integer `-1`"),
            ("9223372036854775808", "invalid value: integer `9223372036854775808`"),
            ("18446744073709551616", "invalid type: floating point"),
            ("12.0", "invalid type: floating point `12.0`"),
            (r#""12""#, "invalid type: string \"12\""),
            ("null", "invalid type: null"),
        ] {
            let message = serde_json::from_str::<ChatId>(json).unwrap_err().to_string();
            let expected = "expected an id, a whole number from 1 to 9223372036854775807";
            assert!(message.starts_with(found), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn entity_is_an_object_of_type_and_id() {
        let entity = Entity::new(EntityKind::Company, i64::MAX).unwrap();
        let json = r#"{"type":"company","id":9223372036854775807}"#;
        assert_eq!(serde_json::to_string(&entity).unwrap(), json);
        assert_eq!(serde_json::from_str::<Entity>(json).unwrap(), entity);
        for json in [
            r#"{"type":"Company","id":1}"#,
            r#"{"type":"company","id":"1"}"#,
            r#"{"type":"company","id":1,"name":"x"}"#,
            r#"{"id":1}"#,
        ] {
            assert!(serde_json::from_str::<Entity>(json).is_err(), "{json}");
        }
    }
}
