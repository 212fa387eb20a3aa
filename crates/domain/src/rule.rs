//! The published table of the rules.

use std::fmt;

/// The rules of a removal. [`Rule::ALL`] lists them in the order in which they are checked; the first that fails decides.
///
/// Rules 1 to 5 look at the request alone; from 6 on, each asks the storage one question. Exhaustive: the table is the
/// contract.
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
    /// 8: there is a chat: the one given, else the entity's last. If there is none, the outcome is *no chat*.
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
        self.row().0
    }

    /// Returns the code of the refusal that the rule gives, or `None` for rule 8, which gives none.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        self.row().1
    }

    /// Returns the HTTP status number of the rule's answer: 400 or 403 for a refusal, 200 for rule 8.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().2
    }

    /// Returns what must hold, as a sentence without a full stop.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        self.row().3
    }

    /// The table: number, code, status, statement.
    const fn row(self) -> (u8, Option<&'static str>, u16, &'static str) {
        match self {
            Self::UserId => (1, Some("CRM_CHAT_EMPTY_USER"), 400, "`USER_ID` is an id"),
            Self::CrmData => (
                2,
                Some("CRM_CHAT_EMPTY_CRM_DATA"),
                400,
                "`CRM_ENTITY_TYPE` and `CRM_ENTITY` are not absent",
            ),
            Self::EntityId => (3, Some("ERROR_ARGUMENT"), 400, "`CRM_ENTITY` is an id"),
            Self::ChatId => (4, Some("ERROR_ARGUMENT"), 400, "`CHAT_ID`, unless absent, is an id"),
            Self::EntityKind => {
                (5, Some("ACCESS_DENIED"), 403, "`CRM_ENTITY_TYPE` names one of the four kinds")
            }
            Self::Messenger => (6, Some("IM_NOT_INSTALLED"), 400, "the messenger is installed"),
            Self::Access => (7, Some("ACCESS_DENIED"), 403, "the actor has access to the entity"),
            Self::Chat => (8, None, 200, "there is a chat: the one given, else the entity's last"),
            Self::Link => (9, Some("CHAT_NOT_IN_CRM"), 400, "the chat is linked to the entity"),
            Self::Permission => (
                10,
                Some("CHAT_DELETE_USER_PERMISSION_DENIED"),
                403,
                "the actor may remove users from this chat of this entity",
            ),
            Self::ActiveUser => {
                (11, Some("CRM_CHAT_USER_NOT_ACTIVE"), 400, "the user exists and is active")
            }
            Self::Member => (12, Some("WRONG_REQUEST"), 400, "the user is a member of the chat"),
        }
    }
}

impl fmt::Display for Rule {
    /// Writes the number and the statement, as `7: the actor has access to the entity`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number(), self.statement())
    }
}
