//! Requests, typed and odd.

use crm_chat_domain::{ChatId, Entity, IfAbsent, Input, Removal, Request, Snapshot, UserId};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::ids::Ids;
use super::world::world;
use crate::model::Call;

/// An actor and a typed removal that could be asked in `world`: mostly one in which the actor, the entity, the chat and
/// the user belong together, and each now and then a stranger.
pub fn removal(world: &Snapshot) -> impl Strategy<Value = (UserId, Removal)> + use<> {
    let world = world.clone();
    lots().prop_map(move |lots| lots.in_world(&world))
}

/// Any world, an actor, and a [`removal`] that the actor could ask there.
pub fn world_and_removal() -> impl Strategy<Value = (Snapshot, UserId, Removal)> {
    (world(), lots()).prop_map(|(world, lots)| {
        let (actor, removal) = lots.in_world(&world);
        (world, actor, removal)
    })
}

/// What decides which removal is asked in a world.
#[derive(Clone, Debug)]
struct Lots {
    link: Lot,
    actor: Lot,
    user: Lot,
    names_chat: bool,
    stranger: Index,
    if_absent: IfAbsent,
}

fn lots() -> impl Strategy<Value = Lots> {
    let if_absent = prop_oneof![3 => Just(IfAbsent::Refuse), 1 => Just(IfAbsent::Accept)];
    let lots = (lot(), lot(), lot(), any::<bool>(), any::<Index>(), if_absent);
    lots.prop_map(|(link, actor, user, names_chat, stranger, if_absent)| Lots {
        link,
        actor,
        user,
        names_chat,
        stranger,
        if_absent,
    })
}

impl Lots {
    fn in_world(&self, world: &Snapshot) -> (UserId, Removal) {
        let ids = Ids::about(world);
        let links: Vec<_> = world.links.iter().map(|link| (link.entity, link.chat)).collect();
        let unlinked = || {
            let entity = *self.link.which.get(&ids.entities);
            (entity, *self.stranger.get(&ids.chats))
        };
        let (entity, chat) = self.link.draw(&links).unwrap_or_else(unlinked);
        let meant = if self.names_chat { chat } else { last_chat(world, entity).unwrap_or(chat) };
        let draw = |lot: &Lot, belonging: &[UserId]| {
            lot.draw(belonging).unwrap_or_else(|| *lot.which.get(&ids.users))
        };
        let actor = draw(&self.actor, &may_remove(world, entity, meant));
        let user = draw(&self.user, &active_members(world, meant));

        let removal = Removal::new(entity, user).if_absent(self.if_absent);
        if self.names_chat { (actor, removal.in_chat(meant)) } else { (actor, removal) }
    }
}

/// Whether to take one of those that belong there, and which.
#[derive(Clone, Debug)]
struct Lot {
    belongs: bool,
    which: Index,
}

fn lot() -> impl Strategy<Value = Lot> {
    let lot = (proptest::bool::weighted(0.85), any::<Index>());
    lot.prop_map(|(belongs, which)| Lot { belongs, which })
}

impl Lot {
    fn draw<T: Copy>(&self, belonging: &[T]) -> Option<T> {
        (self.belongs && !belonging.is_empty()).then(|| *self.which.get(belonging))
    }
}

fn last_chat(world: &Snapshot, entity: Entity) -> Option<ChatId> {
    let mut links = world.links.iter().rev();
    links.find(|link| link.entity == entity).map(|link| link.chat)
}

fn may_remove(world: &Snapshot, entity: Entity, chat: ChatId) -> Vec<UserId> {
    let removers = world.removers.iter().filter(|remover| remover.chat == chat);
    let has_access = |user: &UserId| {
        let mut access = world.access.iter();
        access.any(|access| access.user == *user && access.entity == entity)
    };
    removers.map(|remover| remover.user).filter(has_access).collect()
}

fn active_members(world: &Snapshot, chat: ChatId) -> Vec<UserId> {
    let is_active = |member: &UserId| {
        let mut users = world.users.iter();
        users.any(|user| user.id == *member && user.active)
    };
    let chats = world.chats.iter().filter(|known| known.id == chat);
    chats.flat_map(|chat| chat.members.iter().copied()).filter(is_active).collect()
}

/// A call as it may come over the wire: mostly a [`removal`] in `world`, its ids in any spelling, now and then with an odd
/// value in one of the fields.
pub fn call(world: &Snapshot) -> impl Strategy<Value = Call> + use<> {
    let drawn = (removal(world), spellings());
    drawn.prop_map(|((actor, removal), spellings)| spellings.apply(actor, &removal))
}

/// Any world, and a [`call`] that could come there.
pub fn world_and_call() -> impl Strategy<Value = (Snapshot, Call)> {
    let drawn = (world_and_removal(), spellings());
    drawn.prop_map(|((world, actor, removal), spellings)| (world, spellings.apply(actor, &removal)))
}

/// How each field of a request is written.
#[derive(Clone, Debug)]
struct Spellings {
    entity: Spelling,
    user: Spelling,
    chat: Spelling,
    kind: Spelling,
}

fn spellings() -> impl Strategy<Value = Spellings> {
    let drawn = (spelling(), spelling(), spelling(), kind_spelling());
    drawn.prop_map(|(entity, user, chat, kind)| Spellings { entity, user, chat, kind })
}

impl Spellings {
    fn apply(self, actor: UserId, removal: &Removal) -> Call {
        let plain = Request::from(removal);
        let request = Request {
            crm_entity_type: self.kind.apply(plain.crm_entity_type),
            crm_entity: self.entity.apply(plain.crm_entity),
            user_id: self.user.apply(plain.user_id),
            chat_id: self.chat.apply(plain.chat_id),
            if_absent: plain.if_absent,
        };
        Call { actor, request }
    }
}

/// How a value is written.
#[derive(Clone, Debug)]
enum Spelling {
    Plain,
    Text,
    Padded,
    UpperCase,
    Instead(Input),
}

impl Spelling {
    fn apply(self, plain: Input) -> Input {
        match (self, plain) {
            (Self::Instead(odd), _) => odd,
            (Self::Text, Input::Number(number)) => number.to_string().into(),
            (Self::Padded, Input::Number(number)) => format!(" \t00{number}\r\n").into(),
            (Self::UpperCase, Input::Text(text)) => text.to_ascii_uppercase().into(),
            (_, plain) => plain,
        }
    }
}

fn spelling() -> impl Strategy<Value = Spelling> {
    prop_oneof![
        40 => Just(Spelling::Plain),
        4 => Just(Spelling::Text),
        4 => Just(Spelling::Padded),
        2 => odd_id().prop_map(Spelling::Instead),
    ]
}

fn kind_spelling() -> impl Strategy<Value = Spelling> {
    prop_oneof![
        20 => Just(Spelling::Plain),
        4 => Just(Spelling::UpperCase),
        1 => odd_kind().prop_map(Spelling::Instead),
    ]
}

/// An untrusted value for an id: one of [`odd_id`], or any number or text.
pub fn id_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        odd_id(),
        any::<u64>().prop_map(Input::from),
        "[ \t\r\n]{0,2}[0-9]{0,20}[ \t\r\n]{0,2}".prop_map(Input::from),
        any::<String>().prop_map(Input::from),
    ]
}

/// An untrusted value for a kind: one of [`odd_kind`], a kind in any letter case, or any text.
pub fn kind_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        odd_kind(),
        "(?i)(lead|deal|company|contact)".prop_map(Input::from),
        any::<String>().prop_map(Input::from),
    ]
}

/// A value that is no id: absent in any way, or odd.
pub fn odd_id() -> impl Strategy<Value = Input> {
    let texts = [
        "",
        "0",
        "00",
        " ",
        "false",
        "null",
        "12abc",
        "abc",
        "-1",
        "+1",
        "1.0",
        "12.5",
        "1e3",
        "0x1A",
        "1_000",
        "1 2",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "1\0",
        "\u{661}\u{662}",
        "\u{ff11}",
        "9223372036854775808",
        "18446744073709551617",
        "340282366920938463463374607431768211457",
    ];
    let numbers = [0, 1 << 63, u64::MAX];
    let others = [Input::Absent, Input::Other];
    let numbers = numbers.map(Input::from);
    select([&others[..], &texts.map(Input::from), &numbers].concat())
}

/// A value that is no kind: absent in any way, or odd.
pub fn odd_kind() -> impl Strategy<Value = Input> {
    let texts = [
        "",
        "0",
        "00",
        " ",
        "false",
        "Lead ",
        " deal",
        "deal\n",
        "deals",
        "task",
        "DEA\u{13d}",
        "\u{ff4c}ead",
        "1",
    ];
    let others = [Input::Absent, Input::Other, Input::Number(0), Input::Number(1)];
    select([&others[..], &texts.map(Input::from)].concat())
}

#[cfg(test)]
mod tests {
    use crm_chat_domain::Refusal;

    use super::*;
    use crate::model::parse;

    proptest! {
        #[test]
        fn an_odd_value_never_passes(id in odd_id(), kind in odd_kind()) {
            let good = Request::from(&Removal::new("deal:21".parse()?, UserId::MIN));
            let user = Request { user_id: id.clone(), ..good.clone() };
            prop_assert_eq!(parse(&user), Err(Refusal::EmptyUser));
            let entity = Request { crm_entity: id, ..good.clone() };
            prop_assert!(parse(&entity).is_err());
            let kind = Request { crm_entity_type: kind, ..good };
            prop_assert!(parse(&kind).is_err());
        }

        #[test]
        fn the_model_parses_as_the_domain_does(
            user_id in id_input(),
            crm_entity in id_input(),
            chat_id in id_input(),
            crm_entity_type in kind_input(),
        ) {
            let good = Request::from(&Removal::new("deal:21".parse()?, UserId::MIN));
            let all = Request { user_id, crm_entity, chat_id, crm_entity_type, ..good.clone() };
            for request in [
                all.clone(),
                Request { user_id: all.user_id.clone(), ..good.clone() },
                Request { crm_entity: all.crm_entity.clone(), ..good.clone() },
                Request { chat_id: all.chat_id.clone(), ..good.clone() },
                Request { crm_entity_type: all.crm_entity_type.clone(), ..good.clone() },
            ] {
                prop_assert_eq!(parse(&request), request.parse());
            }
        }
    }
}
