//! The published tables: rules, codes, statuses, descriptions.

use crm_chat_domain::{Argument, Refusal, Rule};

use crate::script::{ACTOR, ENTITY, NAMED, USER};

/// A row of the published table, with the refusal that the rule gives and its description.
struct Row {
    number: u8,
    code: Option<&'static str>,
    status: u16,
    refusal: Option<Refusal>,
    description: &'static str,
}

/// The published table, written independently of the code.
const TABLE: [Row; 12] = [
    Row {
        number: 1,
        code: Some("CRM_CHAT_EMPTY_USER"),
        status: 400,
        refusal: Some(Refusal::EmptyUser),
        description: "the user is not specified: `USER_ID` must be a whole number from 1 to \
                      9223372036854775807",
    },
    Row {
        number: 2,
        code: Some("CRM_CHAT_EMPTY_CRM_DATA"),
        status: 400,
        refusal: Some(Refusal::EmptyCrmData),
        description: "the CRM entity is not specified: `CRM_ENTITY_TYPE` and `CRM_ENTITY` are both \
                      required",
    },
    Row {
        number: 3,
        code: Some("ERROR_ARGUMENT"),
        status: 400,
        refusal: Some(Refusal::InvalidArgument(Argument::CrmEntity)),
        description: "`CRM_ENTITY` must be a whole number from 1 to 9223372036854775807",
    },
    Row {
        number: 4,
        code: Some("ERROR_ARGUMENT"),
        status: 400,
        refusal: Some(Refusal::InvalidArgument(Argument::ChatId)),
        description: "`CHAT_ID` must be a whole number from 1 to 9223372036854775807",
    },
    Row {
        number: 5,
        code: Some("ACCESS_DENIED"),
        status: 403,
        refusal: Some(Refusal::UnknownEntityKind),
        description: "`CRM_ENTITY_TYPE` must be one of `lead`, `deal`, `company`, `contact`",
    },
    Row {
        number: 6,
        code: Some("IM_NOT_INSTALLED"),
        status: 400,
        refusal: Some(Refusal::MessengerNotInstalled),
        description: "the messenger is not installed",
    },
    Row {
        number: 7,
        code: Some("ACCESS_DENIED"),
        status: 403,
        refusal: Some(Refusal::AccessDenied { actor: ACTOR, entity: ENTITY }),
        description: "user 1 has no access to deal:288",
    },
    Row { number: 8, code: None, status: 200, refusal: None, description: "" },
    Row {
        number: 9,
        code: Some("CHAT_NOT_IN_CRM"),
        status: 400,
        refusal: Some(Refusal::ChatNotInCrm { chat: NAMED, entity: ENTITY }),
        description: "chat 8773 does not belong to deal:288",
    },
    Row {
        number: 10,
        code: Some("CHAT_DELETE_USER_PERMISSION_DENIED"),
        status: 403,
        refusal: Some(Refusal::RemovalDenied { actor: ACTOR, chat: NAMED, entity: ENTITY }),
        description: "user 1 may not remove users from chat 8773 of deal:288",
    },
    Row {
        number: 11,
        code: Some("CRM_CHAT_USER_NOT_ACTIVE"),
        status: 400,
        refusal: Some(Refusal::UserNotActive { user: USER }),
        description: "user 12 does not exist or is not active",
    },
    Row {
        number: 12,
        code: Some("WRONG_REQUEST"),
        status: 400,
        refusal: Some(Refusal::NotAMember { user: USER, chat: NAMED }),
        description: "user 12 is not a member of chat 8773",
    },
];

/// The rows whose rule gives a refusal, with that refusal.
fn refusals() -> impl Iterator<Item = (Row, Refusal)> {
    TABLE.into_iter().filter_map(|row| row.refusal.map(|refusal| (row, refusal)))
}

/// Returns the invalid argument, which `ERROR_ARGUMENT` alone names.
fn argument(number: u8) -> Option<&'static str> {
    match number {
        3 => Some("CRM_ENTITY"),
        4 => Some("CHAT_ID"),
        _ => None,
    }
}

#[test]
fn rules_match_the_published_table() {
    let actual = Rule::ALL.map(|rule| (rule.number(), rule.code(), rule.status()));
    assert_eq!(actual, TABLE.map(|row| (row.number, row.code, row.status)));
    assert!(Rule::ALL.is_sorted());
    let [.., active, member] = Rule::ALL;
    assert_eq!(active.to_string(), "11: the user exists and is active");
    assert_eq!(member.statement(), "the user is a member of the chat");
}

#[test]
fn each_refusal_has_the_code_of_its_rule_and_a_description() {
    for (row, refusal) in refusals() {
        assert_eq!(refusal.rule().number(), row.number);
        assert_eq!((Some(refusal.code()), refusal.status()), (row.code, row.status));
        assert_eq!(refusal.argument().map(Argument::as_str), argument(row.number));
        assert_eq!(refusal.to_string(), row.description);
    }
    assert_eq!(refusals().count(), 11, "every rule but rule 8");
}

#[cfg(feature = "serde")]
#[test]
fn refusal_is_written_as_the_object_of_the_wire() {
    for (row, refusal) in refusals() {
        let Row { number, code, description, .. } = row;
        let mut expected = serde_json::json!({"error": code, "error_description": description});
        if let Some(argument) = argument(number) {
            expected["argument"] = argument.into();
        }
        assert_eq!(serde_json::to_value(refusal).unwrap(), expected);
    }
}
