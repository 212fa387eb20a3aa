//! The line protocol: values as words.

use crm_chat_domain::{Change, ChatId, OwnerChange, Role, StoreError, StoreErrorKind, UserId};

/// A value that a response can contain.
pub(crate) trait FromWord {
    fn from_word(word: &str) -> Self;
}

/// A value that can be written as words.
pub(crate) trait ToWords {
    fn to_words(&self) -> String;
}

impl FromWord for () {
    fn from_word(word: &str) {
        assert_eq!(word, "()");
    }
}

impl ToWords for () {
    fn to_words(&self) -> String {
        "()".to_owned()
    }
}

macro_rules! as_displayed {
    ($($value:ty)*) => {
        $(
            impl FromWord for $value {
                fn from_word(word: &str) -> Self {
                    word.parse().unwrap()
                }
            }

            impl ToWords for $value {
                fn to_words(&self) -> String {
                    self.to_string()
                }
            }
        )*
    };
}

as_displayed!(bool UserId ChatId);

impl<T: FromWord> FromWord for Option<T> {
    fn from_word(word: &str) -> Self {
        (word != "none").then(|| T::from_word(word))
    }
}

impl<T: ToWords> ToWords for Option<T> {
    fn to_words(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::to_words)
    }
}

impl FromWord for Role {
    fn from_word(word: &str) -> Self {
        if word == "owner" { Self::Owner } else { Self::Member }
    }
}

impl ToWords for Role {
    fn to_words(&self) -> String {
        let word = if *self == Self::Owner { "owner" } else { "member" };
        word.to_owned()
    }
}

impl ToWords for Change {
    fn to_words(&self) -> String {
        let owner = match self.owner {
            OwnerChange::Unchanged => "unchanged".to_owned(),
            OwnerChange::Vacant => "vacant".to_owned(),
            OwnerChange::PassesTo(user) => user.to_string(),
        };
        let Self { chat, user, actor, entity, .. } = self;
        format!("{chat} {user} {actor} {entity} {owner}")
    }
}

pub(crate) fn read_change([chat, user, actor, entity, owner]: [&str; 5]) -> Change {
    Change {
        chat: chat.parse().unwrap(),
        user: user.parse().unwrap(),
        actor: actor.parse().unwrap(),
        entity: entity.parse().unwrap(),
        owner: match owner {
            "unchanged" => OwnerChange::Unchanged,
            "vacant" => OwnerChange::Vacant,
            user => OwnerChange::PassesTo(user.parse().unwrap()),
        },
    }
}

const KINDS: [StoreErrorKind; 6] = [
    StoreErrorKind::Conflict,
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

pub(crate) fn write_response<T: ToWords>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(value) => format!("ok {}", value.to_words()),
        Err(error) => {
            let kind = KINDS.iter().position(|kind| *kind == error.kind()).unwrap();
            format!("error {kind} {}", error.report())
        }
    }
}

pub(crate) fn read_response<T: FromWord>(response: &str) -> Result<T, StoreError> {
    if let Some(word) = response.strip_prefix("ok ") {
        return Ok(T::from_word(word));
    }
    let failure = response.strip_prefix("error ").and_then(|failure| failure.split_once(' '));
    let (kind, report) = failure.unwrap_or(("5", "the other process has ended"));
    let kind = KINDS[kind.parse::<usize>().unwrap()];
    Err(StoreError::new(kind, "work in the other process").with_source(report.to_owned()))
}
