//! The published table of the rules.

use std::fmt;

/// A rule of a removal.
///
/// [`Rule::ALL`] lists the rules in the order in which they are checked; the first one that fails
/// decides. Rules 1 to 5 need the request alone. From rule 6 on, each asks the storage one
/// question.
///
/// Exhaustive: the table is the contract, and a new rule should not compile unnoticed.
///
/// ```
/// use crm_chat_domain::Rule;
///
/// assert_eq!(Rule::Access.to_string(), "7: the actor has access to the entity");
/// assert_eq!(Rule::Access.code(), Some("ACCESS_DENIED"));
/// assert_eq!(Rule::Access.status(), 403);
/// assert!(Rule::Access < Rule::Member, "rules compare by their place in the order");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1: `USER_ID` is an id.
    UserId,
    /// 2: `CRM_ENTITY_TYPE` and `CRM_ENTITY` are not absent.
    CrmData,
    /// 3: `CRM_ENTITY` is an id.
    EntityId,
    /// 4: `CHAT_ID`, unless absent, is an id.
    ChatId,
    /// 5: `CRM_ENTITY_TYPE` names one of the four kinds.
    EntityKind,
    /// 6: the messenger is installed.
    Messenger,
    /// 7: the actor has access to the entity.
    Access,
    /// 8: there is a chat: the one given, else the entity's last. If there is none, the outcome is
    /// *no chat*.
    Chat,
    /// 9: the chat is linked to the entity. Not asked when rule 8 chose the last chat.
    Link,
    /// 10: the actor may remove users from this chat of this entity.
    Permission,
    /// 11: the user exists and is active.
    ActiveUser,
    /// 12: the user is a member of the chat.
    Member,
}

/// A row of the published table.
struct RuleInfo {
    /// The place in the order, from 1.
    number: u8,
    /// The code of the refusal. Rule 8 has none, since it never refuses.
    code: Option<&'static str>,
    /// The HTTP status number of the answer.
    status: u16,
    /// The condition that must hold, as a sentence without a full stop.
    statement: &'static str,
}

/// The published table, a row for each rule, in the order in which they are checked.
const TABLE: [RuleInfo; 12] = [
    RuleInfo {
        number: 1,
        code: Some("CRM_CHAT_EMPTY_USER"),
        status: 400,
        statement: "`USER_ID` is an id",
    },
    RuleInfo {
        number: 2,
        code: Some("CRM_CHAT_EMPTY_CRM_DATA"),
        status: 400,
        statement: "`CRM_ENTITY_TYPE` and `CRM_ENTITY` are not absent",
    },
    RuleInfo {
        number: 3,
        code: Some("ERROR_ARGUMENT"),
        status: 400,
        statement: "`CRM_ENTITY` is an id",
    },
    RuleInfo {
        number: 4,
        code: Some("ERROR_ARGUMENT"),
        status: 400,
        statement: "`CHAT_ID`, unless absent, is an id",
    },
    RuleInfo {
        number: 5,
        code: Some("ACCESS_DENIED"),
        status: 403,
        statement: "`CRM_ENTITY_TYPE` names one of the four kinds",
    },
    RuleInfo {
        number: 6,
        code: Some("IM_NOT_INSTALLED"),
        status: 400,
        statement: "the messenger is installed",
    },
    RuleInfo {
        number: 7,
        code: Some("ACCESS_DENIED"),
        status: 403,
        statement: "the actor has access to the entity",
    },
    RuleInfo {
        number: 8,
        code: None,
        status: 200,
        statement: "there is a chat: the one given, else the entity's last",
    },
    RuleInfo {
        number: 9,
        code: Some("CHAT_NOT_IN_CRM"),
        status: 400,
        statement: "the chat is linked to the entity",
    },
    RuleInfo {
        number: 10,
        code: Some("CHAT_DELETE_USER_PERMISSION_DENIED"),
        status: 403,
        statement: "the actor may remove users from this chat of this entity",
    },
    RuleInfo {
        number: 11,
        code: Some("CRM_CHAT_USER_NOT_ACTIVE"),
        status: 400,
        statement: "the user exists and is active",
    },
    RuleInfo {
        number: 12,
        code: Some("WRONG_REQUEST"),
        status: 400,
        statement: "the user is a member of the chat",
    },
];

impl Rule {
    /// All rules, in the order in which they are checked.
    pub const ALL: [Self; 12] = [
        Self::UserId,
        Self::CrmData,
        Self::EntityId,
        Self::ChatId,
        Self::EntityKind,
        Self::Messenger,
        Self::Access,
        Self::Chat,
        Self::Link,
        Self::Permission,
        Self::ActiveUser,
        Self::Member,
    ];

    /// Returns the rule's number in the published table, from 1 to 12.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.info().number
    }

    /// Returns the code of the refusal that the rule gives, or `None` for rule 8, which gives none.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        self.info().code
    }

    /// Returns the HTTP status number of the rule's answer: 400 or 403 for a refusal, 200 for
    /// rule 8.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.info().status
    }

    /// Returns the condition that must hold, as a sentence without a full stop.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        self.info().statement
    }

    /// Returns the rule's row of the table.
    // A pattern and a match rather than an index: this cannot panic, and neither a row nor a rule
    // can be added without the other.
    const fn info(self) -> &'static RuleInfo {
        let [
            user_id,
            crm_data,
            entity_id,
            chat_id,
            entity_kind,
            messenger,
            access,
            chat,
            link,
            permission,
            active_user,
            member,
        ] = &TABLE;
        match self {
            Self::UserId => user_id,
            Self::CrmData => crm_data,
            Self::EntityId => entity_id,
            Self::ChatId => chat_id,
            Self::EntityKind => entity_kind,
            Self::Messenger => messenger,
            Self::Access => access,
            Self::Chat => chat,
            Self::Link => link,
            Self::Permission => permission,
            Self::ActiveUser => active_user,
            Self::Member => member,
        }
    }
}

impl fmt::Display for Rule {
    /// Writes the number and the statement, such as `7: the actor has access to the entity`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number(), self.statement())
    }
}
