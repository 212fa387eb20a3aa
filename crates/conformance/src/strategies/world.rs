//! Worlds.

use std::fmt::Debug;

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{ChatId, RemovalRecord, Snapshot, Timestamp, UserId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::ids::{Ids, pairs};

/// A valid world: mostly of [small](Ids::small) ids, now and then of [large](Ids::large) ones.
pub fn world() -> impl Strategy<Value = Snapshot> {
    prop_oneof![4 => world_of(&Ids::small()), 1 => world_of(&Ids::large())]
}

/// A valid world of the given ids: users of every kind, inactive ones, members, actors and removers who are no known
/// users, chats with and without an owner, links in any order, some records in the log.
pub fn world_of(ids: &Ids) -> impl Strategy<Value = Snapshot> + use<> {
    let Ids { users, chats, entities } = ids;
    let each_user = users.iter().map(|id| user(*id)).collect();
    let each_chat = chats.iter().map(|id| chat(*id, users)).collect();
    (
        proptest::bool::weighted(0.08),
        some(0.85, each_user),
        some(0.85, each_chat),
        some_of(0.4, pairs(entities, chats)).prop_shuffle(),
        some_of(0.6, pairs(users, entities)),
        some_of(0.6, pairs(users, chats)),
        vec(record(ids), 0..3),
    )
        .prop_map(|(not_installed, users, chats, links, access, removers, removals)| {
            let known = |id: ChatId| chats.iter().any(|chat| chat.id == id);
            let links = links.into_iter().filter(|(_, chat)| known(*chat));
            let removers = removers.into_iter().filter(|(_, chat)| known(*chat));
            Snapshot {
                messenger_installed: !not_installed,
                users,
                links: links.map(|(entity, chat)| Link { entity, chat }).collect(),
                access: access
                    .into_iter()
                    .map(|(user, entity)| AccessGrant { user, entity })
                    .collect(),
                removers: removers.map(|(user, chat)| RemovalRight { user, chat }).collect(),
                removals,
                chats,
            }
        })
}

/// Some of what is offered, each with a probability, in their order.
fn some<S: Strategy>(probability: f64, offered: Vec<S>) -> impl Strategy<Value = Vec<S::Value>> {
    let offered = offered.into_iter();
    let drawn: Vec<_> = offered.map(|one| option::weighted(probability, one)).collect();
    drawn.prop_map(|drawn| drawn.into_iter().flatten().collect())
}

/// Some of the items, in their order.
fn some_of<T: Clone + Debug>(probability: f64, items: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    some(probability, items.into_iter().map(Just).collect())
}

fn user(id: UserId) -> impl Strategy<Value = User> {
    (proptest::bool::weighted(0.15), user_kind()).prop_map(move |(inactive, kind)| User {
        id,
        active: !inactive,
        kind,
    })
}

pub(super) fn user_kind() -> impl Strategy<Value = UserKind> {
    prop_oneof![
        6 => Just(UserKind::Human),
        1 => Just(UserKind::Bot),
        1 => Just(UserKind::External),
    ]
}

fn chat(id: ChatId, users: &[UserId]) -> impl Strategy<Value = Chat> + use<> {
    let members = some_of(0.6, users.to_vec()).prop_shuffle();
    // By id, not by place: the owner stays while other members are left out.
    let owner = option::weighted(0.9, select(users.to_vec()));
    (members, owner).prop_map(move |(members, owner)| Chat {
        id,
        owner: owner.filter(|owner| members.contains(owner)),
        members,
    })
}

/// A record of the log; the chat need not be known any more.
fn record(ids: &Ids) -> impl Strategy<Value = RemovalRecord> + use<> {
    let user = || select(ids.users.clone());
    // Whole seconds, from 2026 on.
    let seconds = 1_767_225_600..1_767_225_700_i64;
    (
        select(ids.chats.clone()),
        user(),
        user(),
        select(ids.entities.clone()),
        option::weighted(0.3, user()),
        option::weighted(0.9, seconds),
    )
        .prop_map(|(chat, user, actor, entity, new_owner, seconds)| RemovalRecord {
            chat,
            user,
            actor,
            entity,
            new_owner,
            recorded_at: seconds.and_then(|seconds| Timestamp::new(seconds, 0).ok()),
        })
}
