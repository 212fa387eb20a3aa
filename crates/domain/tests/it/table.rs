//! The published tables: rules, codes, statuses, descriptions.

use crm_chat_domain::{Argument, Refusal, Rule};

use crate::script::{ACTOR, ENTITY, NAMED, USER};

/// A row of the published table; the refusal that the rule gives, and its description.
type Row = (u8, Option<&'static str>, u16, Option<(Refusal, &'static str)>);

const TABLE: [Row; 12] = [
    (
        1,
        Some("CRM_CHAT_EMPTY_USER"),
        400,
        Some((
            Refusal::EmptyUser,
            "the user is not specified: `USER_ID` must be a whole number from 1 to 9223372036854775807",
        )),
    ),
    (
        2,
        Some("CRM_CHAT_EMPTY_CRM_DATA"),
        400,
        Some((
            Refusal::EmptyCrmData,
            "the CRM entity is not specified: `CRM_ENTITY_TYPE` and `CRM_ENTITY` are both required",
        )),
    ),
    (
        3,
        Some("ERROR_ARGUMENT"),
        400,
        Some((
            Refusal::InvalidArgument(Argument::CrmEntity),
            "`CRM_ENTITY` must be a whole number from 1 to 9223372036854775807",
        )),
    ),
    (
        4,
        Some("ERROR_ARGUMENT"),
        400,
        Some((
            Refusal::InvalidArgument(Argument::ChatId),
            "`CHAT_ID` must be a whole number from 1 to 9223372036854775807",
        )),
    ),
    (
        5,
        Some("ACCESS_DENIED"),
        403,
        Some((
            Refusal::UnknownEntityKind,
            "`CRM_ENTITY_TYPE` must be one of `lead`, `deal`, `company`, `contact`",
        )),
    ),
    (
        6,
        Some("IM_NOT_INSTALLED"),
        400,
        Some((Refusal::MessengerNotInstalled, "the messenger is not installed")),
    ),
    (
        7,
        Some("ACCESS_DENIED"),
        403,
        Some((
            Refusal::AccessDenied { actor: ACTOR, entity: ENTITY },
            "user 1 has no access to deal:288",
        )),
    ),
    (8, None, 200, None),
    (
        9,
        Some("CHAT_NOT_IN_CRM"),
        400,
        Some((
            Refusal::ChatNotInCrm { chat: NAMED, entity: ENTITY },
            "chat 8773 does not belong to deal:288",
        )),
    ),
    (
        10,
        Some("CHAT_DELETE_USER_PERMISSION_DENIED"),
        403,
        Some((
            Refusal::RemovalDenied { actor: ACTOR, chat: NAMED, entity: ENTITY },
            "user 1 may not remove users from chat 8773 of deal:288",
        )),
    ),
    (
        11,
        Some("CRM_CHAT_USER_NOT_ACTIVE"),
        400,
        Some((Refusal::UserNotActive { user: USER }, "user 12 does not exist or is not active")),
    ),
    (
        12,
        Some("WRONG_REQUEST"),
        400,
        Some((
            Refusal::NotAMember { user: USER, chat: NAMED },
            "user 12 is not a member of chat 8773",
        )),
    ),
];

/// `ERROR_ARGUMENT` alone names the argument at fault.
fn argument(number: u8) -> Option<&'static str> {
    match number {
        3 => Some("CRM_ENTITY"),
        4 => Some("CHAT_ID"),
        _ => None,
    }
}

#[test]
fn the_rules_are_those_of_the_table() {
    let rows = Rule::ALL.map(|rule| (rule.number(), rule.code(), rule.status()));
    assert_eq!(rows, TABLE.map(|(number, code, status, _)| (number, code, status)));
    assert!(Rule::ALL.is_sorted());
    let [.., active, member] = Rule::ALL;
    assert_eq!(active.to_string(), "11: the user exists and is active");
    assert_eq!(member.statement(), "the user is a member of the chat");
}

#[test]
fn each_refusal_has_its_rules_code_and_a_description_for_people() {
    for (rule, (number, code, status, refused)) in Rule::ALL.into_iter().zip(TABLE) {
        let Some((refusal, description)) = refused else {
            continue;
        };
        assert_eq!(refusal.rule(), rule);
        assert_eq!((Some(refusal.code()), refusal.status()), (code, status));
        assert_eq!(refusal.argument().map(Argument::as_str), argument(number));
        assert_eq!(refusal.to_string(), description);
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_refusal_is_written_as_the_object_of_the_wire() {
    for (number, code, _, refused) in TABLE {
        let Some((refusal, description)) = refused else {
            continue;
        };
        let mut expected = serde_json::json!({"error": code, "error_description": description});
        if let Some(argument) = argument(number) {
            expected["argument"] = argument.into();
        }
        assert_eq!(serde_json::to_value(refusal).unwrap(), expected);
    }
}
