//! Strategies for worlds.

use std::fmt::Debug;

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{ChatId, RemovalRecord, Snapshot, Timestamp, UserId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::ids::{Ids, pairs};

/// Generates a valid world, mostly of [small](Ids::small) ids, sometimes of [large](Ids::large)
/// ones.
pub fn arb_world() -> impl Strategy<Value = Snapshot> {
    prop_oneof![4 => arb_world_of(&Ids::small()), 1 => arb_world_of(&Ids::large())]
}

/// Generates a valid world of the given ids: users of every kind, some inactive; members, actors
/// and holders of rights who are not known users; chats with and without an owner; links in any
/// order; some records in the log.
pub fn arb_world_of(ids: &Ids) -> impl Strategy<Value = Snapshot> + use<> {
    let Ids { users, chats, entities } = ids;
    let each_user = users.iter().map(|id| arb_user(*id)).collect();
    let each_chat = chats.iter().map(|id| arb_chat(*id, users)).collect();
    (
        proptest::bool::weighted(0.08),
        arb_subset_of(0.85, each_user),
        arb_subset_of(0.85, each_chat),
        arb_subset(0.4, pairs(entities, chats)).prop_shuffle(),
        arb_subset(0.6, pairs(users, entities)),
        arb_subset(0.6, pairs(users, chats)),
        vec(arb_record(ids), 0..3),
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

/// Generates a subset of what the strategies generate, each with a probability, in their order.
fn arb_subset_of<S: Strategy>(
    probability: f64,
    strategies: Vec<S>,
) -> impl Strategy<Value = Vec<S::Value>> {
    let strategies = strategies.into_iter();
    let drawn: Vec<_> =
        strategies.map(|strategy| option::weighted(probability, strategy)).collect();
    drawn.prop_map(|drawn| drawn.into_iter().flatten().collect())
}

/// Generates a subset of the items, in their order.
fn arb_subset<T: Clone + Debug>(probability: f64, items: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    arb_subset_of(probability, items.into_iter().map(Just).collect())
}

fn arb_user(id: UserId) -> impl Strategy<Value = User> {
    (proptest::bool::weighted(0.15), arb_user_kind()).prop_map(move |(inactive, kind)| User {
        id,
        active: !inactive,
        kind,
    })
}

pub(super) fn arb_user_kind() -> impl Strategy<Value = UserKind> {
    prop_oneof![
        6 => Just(UserKind::Human),
        1 => Just(UserKind::Bot),
        1 => Just(UserKind::External),
    ]
}

fn arb_chat(id: ChatId, users: &[UserId]) -> impl Strategy<Value = Chat> + use<> {
    let members = arb_subset(0.6, users.to_vec()).prop_shuffle();
    // Drawn by id, not by index, so that the owner stays the same while other members shrink away.
    let owner = option::weighted(0.9, select(users.to_vec()));
    (members, owner).prop_map(move |(members, owner)| Chat {
        id,
        owner: owner.filter(|owner| members.contains(owner)),
        members,
    })
}

/// Generates a record of the log. Its chat need not exist.
fn arb_record(ids: &Ids) -> impl Strategy<Value = RemovalRecord> + use<> {
    let user = || select(ids.users.clone());
    // Whole seconds, starting in 2026.
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
