//! Strategies for requests, typed and untrusted.

use crm_chat_domain::{ChatId, Entity, IfAbsent, Input, Removal, Request, Snapshot, UserId};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::ids::Ids;
use super::worlds::arb_world;
use crate::model::RemovalCall;

/// Generates an actor and a removal for `world`. In most, the actor, the entity, the chat and the
/// user belong together; sometimes one of them is a stranger.
pub fn arb_removal(world: &Snapshot) -> impl Strategy<Value = (UserId, Removal)> + use<> {
    let world = world.clone();
    arb_params().prop_map(move |params| params.in_world(&world))
}

/// Generates a world, an actor, and a [removal](arb_removal) that the actor could request there.
pub fn arb_world_and_removal() -> impl Strategy<Value = (Snapshot, UserId, Removal)> {
    (arb_world(), arb_params()).prop_map(|(world, params)| {
        let (actor, removal) = params.in_world(&world);
        (world, actor, removal)
    })
}

/// The random choices that determine a removal in a world. They are independent of the world, so
/// that both shrink separately.
#[derive(Clone, Debug)]
struct RemovalParams {
    link: Pick,
    actor: Pick,
    user: Pick,
    names_chat: bool,
    stranger: Index,
    if_absent: IfAbsent,
}

fn arb_params() -> impl Strategy<Value = RemovalParams> {
    let if_absent = prop_oneof![3 => Just(IfAbsent::Refuse), 1 => Just(IfAbsent::Accept)];
    let choices = (arb_pick(), arb_pick(), arb_pick(), any::<bool>(), any::<Index>(), if_absent);
    choices.prop_map(|(link, actor, user, names_chat, stranger, if_absent)| RemovalParams {
        link,
        actor,
        user,
        names_chat,
        stranger,
        if_absent,
    })
}

impl RemovalParams {
    fn in_world(&self, world: &Snapshot) -> (UserId, Removal) {
        let ids = Ids::about(world);
        let links: Vec<_> = world.links.iter().map(|link| (link.entity, link.chat)).collect();
        let unlinked = || {
            let entity = *self.link.index.get(&ids.entities);
            (entity, *self.stranger.get(&ids.chats))
        };
        let (entity, chat) = self.link.draw(&links).unwrap_or_else(unlinked);
        // A request without a chat means the last one; choose the user from that.
        let chat = if self.names_chat { chat } else { last_chat(world, entity).unwrap_or(chat) };
        let draw = |pick: &Pick, belonging: &[UserId]| {
            pick.draw(belonging).unwrap_or_else(|| *pick.index.get(&ids.users))
        };
        let actor = draw(&self.actor, &may_remove(world, entity, chat));
        let user = draw(&self.user, &active_members(world, chat));

        let removal = Removal::new(entity, user).if_absent(self.if_absent);
        if self.names_chat { (actor, removal.in_chat(chat)) } else { (actor, removal) }
    }
}

/// A choice of an item: whether to take one that belongs to the context, and which.
#[derive(Clone, Debug)]
struct Pick {
    belongs: bool,
    index: Index,
}

fn arb_pick() -> impl Strategy<Value = Pick> {
    let choices = (proptest::bool::weighted(0.85), any::<Index>());
    choices.prop_map(|(belongs, index)| Pick { belongs, index })
}

impl Pick {
    fn draw<T: Copy>(&self, belonging: &[T]) -> Option<T> {
        (self.belongs && !belonging.is_empty()).then(|| *self.index.get(belonging))
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

/// Generates a call as it may arrive over the wire: mostly a [removal](arb_removal) in `world` with
/// its ids in any encoding, sometimes with an invalid value in a field.
pub fn arb_call(world: &Snapshot) -> impl Strategy<Value = RemovalCall> + use<> {
    let choices = (arb_removal(world), arb_encodings());
    choices.prop_map(|((actor, removal), encodings)| encodings.apply(actor, &removal))
}

/// Generates a world and a [call](arb_call) that could arrive there.
pub fn arb_world_and_call() -> impl Strategy<Value = (Snapshot, RemovalCall)> {
    let choices = (arb_world_and_removal(), arb_encodings());
    choices
        .prop_map(|((world, actor, removal), encodings)| (world, encodings.apply(actor, &removal)))
}

/// The encoding of each field of a request.
#[derive(Clone, Debug)]
struct FieldEncodings {
    entity: ValueEncoding,
    user: ValueEncoding,
    chat: ValueEncoding,
    kind: ValueEncoding,
}

fn arb_encodings() -> impl Strategy<Value = FieldEncodings> {
    let choices = (arb_encoding(), arb_encoding(), arb_encoding(), arb_kind_encoding());
    choices.prop_map(|(entity, user, chat, kind)| FieldEncodings { entity, user, chat, kind })
}

impl FieldEncodings {
    fn apply(self, actor: UserId, removal: &Removal) -> RemovalCall {
        let plain = Request::from(removal);
        let request = Request {
            crm_entity_type: self.kind.apply(plain.crm_entity_type),
            crm_entity: self.entity.apply(plain.crm_entity),
            user_id: self.user.apply(plain.user_id),
            chat_id: self.chat.apply(plain.chat_id),
            if_absent: plain.if_absent,
        };
        RemovalCall { actor, request }
    }
}

/// The encoding of a value.
#[derive(Clone, Debug)]
enum ValueEncoding {
    Plain,
    Text,
    Padded,
    UpperCase,
    Replaced(Input),
}

impl ValueEncoding {
    fn apply(self, plain: Input) -> Input {
        match (self, plain) {
            (Self::Replaced(invalid), _) => invalid,
            (Self::Text, Input::Number(number)) => number.to_string().into(),
            (Self::Padded, Input::Number(number)) => format!(" \t00{number}\r\n").into(),
            (Self::UpperCase, Input::Text(text)) => text.to_ascii_uppercase().into(),
            (_, plain) => plain,
        }
    }
}

fn arb_encoding() -> impl Strategy<Value = ValueEncoding> {
    // Mostly plain, so that requests get past rules 1 to 5.
    prop_oneof![
        40 => Just(ValueEncoding::Plain),
        4 => Just(ValueEncoding::Text),
        4 => Just(ValueEncoding::Padded),
        2 => arb_invalid_id().prop_map(ValueEncoding::Replaced),
    ]
}

fn arb_kind_encoding() -> impl Strategy<Value = ValueEncoding> {
    prop_oneof![
        20 => Just(ValueEncoding::Plain),
        4 => Just(ValueEncoding::UpperCase),
        1 => arb_invalid_kind().prop_map(ValueEncoding::Replaced),
    ]
}

/// Generates an untrusted value for an id: one of [`arb_invalid_id`], or any number or text.
pub fn arb_id_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        arb_invalid_id(),
        any::<u64>().prop_map(Input::from),
        "[ \t\r\n]{0,2}[0-9]{0,20}[ \t\r\n]{0,2}".prop_map(Input::from),
        any::<String>().prop_map(Input::from),
    ]
}

/// Generates an untrusted value for a kind: one of [`arb_invalid_kind`], a kind in any letter case,
/// or any text.
pub fn arb_kind_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        arb_invalid_kind(),
        "(?i)(lead|deal|company|contact)".prop_map(Input::from),
        any::<String>().prop_map(Input::from),
    ]
}

/// Generates a value that is not a valid id: missing in any form, or invalid.
pub fn arb_invalid_id() -> impl Strategy<Value = Input> {
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

/// Generates a value that is not a valid kind: missing in any form, or invalid.
pub fn arb_invalid_kind() -> impl Strategy<Value = Input> {
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
        fn invalid_value_is_always_refused(id in arb_invalid_id(), kind in arb_invalid_kind()) {
            let good = Request::from(&Removal::new("deal:21".parse()?, UserId::MIN));
            let user = Request { user_id: id.clone(), ..good.clone() };
            prop_assert_eq!(parse(&user), Err(Refusal::EmptyUser));
            let entity = Request { crm_entity: id, ..good.clone() };
            prop_assert!(parse(&entity).is_err());
            let kind = Request { crm_entity_type: kind, ..good };
            prop_assert!(parse(&kind).is_err());
        }

        #[test]
        fn model_parses_like_the_domain(
            user_id in arb_id_input(),
            crm_entity in arb_id_input(),
            chat_id in arb_id_input(),
            crm_entity_type in arb_kind_input(),
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
