//! What is asked, of which world.

use crm_chat_domain::snapshot::UserKind;
use crm_chat_domain::{
    ChatId, Entity, EntityId, EntityKind, IfAbsent, Input, OwnerChange, Removal, Request, Snapshot,
    UserId,
};

/// One field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<T> {
    Absent,
    /// Present, but it says nothing that the field can mean.
    Odd,
    Is(T),
}

impl<T> Field<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Odd => None,
        }
    }

    fn present(value: Option<T>) -> Self {
        value.map_or(Self::Odd, Self::Is)
    }
}

/// A request, as far as it can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) kind: Field<EntityKind>,
    pub(super) id: Field<EntityId>,
    pub(super) user: Field<UserId>,
    pub(super) chat: Field<ChatId>,
    pub(super) if_absent: IfAbsent,
}

impl From<&Removal> for Asked {
    fn from(removal: &Removal) -> Self {
        Self {
            kind: Field::Is(removal.entity.kind),
            id: Field::Is(removal.entity.id),
            user: Field::Is(removal.user),
            chat: removal.chat.map_or(Field::Absent, Field::Is),
            if_absent: removal.if_absent,
        }
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        Self {
            kind: read(&request.crm_entity_type, kind),
            id: read(&request.crm_entity, |input| id(input, EntityId::new)),
            user: read(&request.user_id, |input| id(input, UserId::new)),
            chat: read(&request.chat_id, |input| id(input, ChatId::new)),
            if_absent: request.if_absent,
        }
    }
}

fn read<T>(input: &Input, meaning: impl FnOnce(&Input) -> Option<T>) -> Field<T> {
    let empty = ["", "0"].map(Input::from);
    if [Input::Absent, Input::Number(0)].contains(input) || empty.contains(input) {
        Field::Absent
    } else {
        Field::present(meaning(input))
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

/// Reads ASCII digits, space around them.
fn decimal(text: &str) -> Option<u128> {
    let space = |byte: &u8| b" \t\r\n".contains(byte);
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|byte| !space(byte))?;
    let end = bytes.iter().rposition(|byte| !space(byte))?;
    bytes[start..=end].iter().try_fold(0_u128, |sum, byte| {
        let digit = b"0123456789".iter().position(|digit| digit == byte)?;
        Some(sum.saturating_mul(10).saturating_add(digit as u128))
    })
}

/// What an actor asks of a world, and the facts that answer it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) world: &'a Snapshot,
    pub(super) actor: UserId,
    pub(super) asked: Asked,
}

impl<'a> Question<'a> {
    pub(super) const fn new(world: &'a Snapshot, actor: UserId, asked: Asked) -> Self {
        Self { world, actor, asked }
    }

    pub(super) fn user(&self) -> Option<UserId> {
        self.asked.user.value()
    }

    pub(super) fn entity(&self) -> Option<Entity> {
        Some(Entity { kind: self.asked.kind.value()?, id: self.asked.id.value()? })
    }

    /// The chat that is meant: the one given, else the entity's last.
    pub(super) fn chat(&self) -> Option<ChatId> {
        match self.asked.chat {
            Field::Is(chat) => Some(chat),
            Field::Odd => None,
            Field::Absent => {
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
