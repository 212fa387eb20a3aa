//! A request as the model reads it, and its evaluation in a world.

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{
    ChatId, Entity, EntityId, EntityKind, IfAbsent, Input, OwnerChange, Removal, Request, Snapshot,
    UserId,
};

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<T> {
    Missing,
    /// Present, but not a valid value of the field.
    Invalid,
    Valid(T),
}

impl<T> Field<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Missing | Self::Invalid => None,
        }
    }

    fn present(value: Option<T>) -> Self {
        value.map_or(Self::Invalid, Self::Valid)
    }
}

/// A request of which any field may be missing or invalid.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParsedRequest {
    pub(super) kind: Field<EntityKind>,
    pub(super) id: Field<EntityId>,
    pub(super) user: Field<UserId>,
    pub(super) chat: Field<ChatId>,
    pub(super) if_absent: IfAbsent,
}

impl From<&Removal> for ParsedRequest {
    fn from(removal: &Removal) -> Self {
        Self {
            kind: Field::Valid(removal.entity.kind),
            id: Field::Valid(removal.entity.id),
            user: Field::Valid(removal.user),
            chat: removal.chat.map_or(Field::Missing, Field::Valid),
            if_absent: removal.if_absent,
        }
    }
}

impl From<&Request> for ParsedRequest {
    fn from(request: &Request) -> Self {
        Self {
            kind: field(&request.crm_entity_type, kind),
            id: field(&request.crm_entity, |input| id(input, EntityId::new)),
            user: field(&request.user_id, |input| id(input, UserId::new)),
            chat: field(&request.chat_id, |input| id(input, ChatId::new)),
            if_absent: request.if_absent,
        }
    }
}

fn field<T>(input: &Input, parse: impl FnOnce(&Input) -> Option<T>) -> Field<T> {
    // These values count as missing, like an absent parameter.
    let empty = ["", "0"].map(Input::from);
    if [Input::Absent, Input::Number(0)].contains(input) || empty.contains(input) {
        Field::Missing
    } else {
        Field::present(parse(input))
    }
}

fn kind(input: &Input) -> Option<EntityKind> {
    let Input::Text(text) = input else {
        return None;
    };
    Some(match text.to_ascii_lowercase().as_str() {
        "lead" => EntityKind::Lead,
        "deal" => EntityKind::Deal,
        "company" => EntityKind::Company,
        "contact" => EntityKind::Contact,
        _ => return None,
    })
}

fn id<T>(input: &Input, new: impl FnOnce(i64) -> Option<T>) -> Option<T> {
    let number = match input {
        Input::Number(number) => u128::from(*number),
        Input::Text(text) => decimal(text)?,
        Input::Absent | Input::Other => return None,
    };
    i64::try_from(number).ok().and_then(new)
}

/// Parses ASCII digits with optional space around them.
fn decimal(text: &str) -> Option<u128> {
    let space = |byte: &u8| b" \t\r\n".contains(byte);
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|byte| !space(byte))?;
    let end = bytes.iter().rposition(|byte| !space(byte))?;
    bytes[start..=end].iter().try_fold(0_u128, |sum, byte| {
        let digit = b"0123456789".iter().position(|digit| digit == byte)?;
        // Saturating: too long a number must be out of range, not wrap around to a valid id.
        Some(sum.saturating_mul(10).saturating_add(digit as u128))
    })
}

/// A request of an actor in a world, with the facts that the rules consult.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation<'a> {
    pub(super) world: &'a Snapshot,
    pub(super) actor: UserId,
    pub(super) request: ParsedRequest,
}

impl<'a> Evaluation<'a> {
    pub(super) const fn new(world: &'a Snapshot, actor: UserId, request: ParsedRequest) -> Self {
        Self { world, actor, request }
    }

    pub(super) fn user(&self) -> Option<UserId> {
        self.request.user.value()
    }

    pub(super) fn entity(&self) -> Option<Entity> {
        Some(Entity { kind: self.request.kind.value()?, id: self.request.id.value()? })
    }

    /// Returns the chat of the request: the one it names, otherwise the last chat of the entity.
    pub(super) fn chat(&self) -> Option<ChatId> {
        match self.request.chat {
            Field::Valid(chat) => Some(chat),
            Field::Invalid => None,
            Field::Missing => {
                let entity = self.entity()?;
                let mut links = self.world.links.iter();
                let newest = links.rfind(|link| link.entity == entity)?;
                Some(newest.chat)
            }
        }
    }

    pub(super) fn members(&self, chat: ChatId) -> impl Iterator<Item = UserId> + use<'a> {
        let chats = self.world.chats.iter();
        chats.filter(move |known| known.id == chat).flat_map(|known| known.members.iter().copied())
    }

    pub(super) fn owner_change(&self, chat: ChatId, user: UserId) -> OwnerChange {
        let chats = &self.world.chats;
        if !chats.iter().any(|known| known.id == chat && known.owner == Some(user)) {
            return OwnerChange::Unchanged;
        }
        let may_own = |member: UserId| {
            self.world
                .users
                .iter()
                .any(|known| known.id == member && known.active && known.kind == UserKind::Human)
        };
        self.members(chat)
            .filter(|member| *member != user)
            .find(|member| may_own(*member))
            .map_or(OwnerChange::Vacant, OwnerChange::PassesTo)
    }
}
