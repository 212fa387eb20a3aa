//! The ids that strategies draw from.

use std::collections::BTreeSet;

use crm_chat_domain::{ChatId, Entity, EntityId, EntityKind, Snapshot, UserId};

/// A pool of ids for strategies, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    pub(super) users: Vec<UserId>,
    pub(super) chats: Vec<ChatId>,
    pub(super) entities: Vec<Entity>,
}

impl Ids {
    /// Creates a pool of ids.
    ///
    /// # Panics
    /// If one of the lists is empty.
    #[must_use]
    pub fn new(
        users: impl IntoIterator<Item = UserId>,
        chats: impl IntoIterator<Item = ChatId>,
        entities: impl IntoIterator<Item = Entity>,
    ) -> Self {
        let ids = Self { users: sorted(users), chats: sorted(chats), entities: sorted(entities) };
        assert!(
            !ids.users.is_empty() && !ids.chats.is_empty() && !ids.entities.is_empty(),
            "there must be a user, a chat and an entity to draw"
        );
        ids
    }

    /// Returns six users from 1, three chats from 11, and five entities numbered 21 and 22: small,
    /// and easy to distinguish.
    #[must_use]
    pub fn small() -> Self {
        let entities = [
            (EntityKind::Lead, 21),
            (EntityKind::Deal, 21),
            (EntityKind::Deal, 22),
            (EntityKind::Company, 22),
            (EntityKind::Contact, 21),
        ];
        Self::of_numbers(1..=6, 11..=13, entities)
    }

    /// Returns ids at limits that storages get wrong: 32 bits, the integers that a 64-bit float
    /// represents exactly, and 64 bits. Some users, chats and entities become equal when cut to 32
    /// bits, others when rounded to a float.
    #[must_use]
    pub fn large() -> Self {
        const TWO_31: i64 = 1 << 31;
        const TWO_32: i64 = 1 << 32;
        const TWO_53: i64 = 1 << 53;
        let entities = [
            (EntityKind::Lead, 1),
            (EntityKind::Deal, 1),
            (EntityKind::Deal, TWO_32 + 1),
            (EntityKind::Company, TWO_53),
            (EntityKind::Company, TWO_53 + 1),
            (EntityKind::Contact, i64::MAX),
        ];
        Self::of_numbers(
            [1, TWO_31, TWO_32 + 1, TWO_53 - 1, TWO_53, TWO_53 + 1, i64::MAX],
            [1, TWO_31, TWO_32 + 1, TWO_53, TWO_53 + 1, i64::MAX],
            entities,
        )
    }

    fn of_numbers(
        users: impl IntoIterator<Item = i64>,
        chats: impl IntoIterator<Item = i64>,
        entities: impl IntoIterator<Item = (EntityKind, i64)>,
    ) -> Self {
        let entity = |(kind, id)| EntityId::new(id).map(|id| Entity { kind, id });
        Self::new(
            users.into_iter().filter_map(UserId::new),
            chats.into_iter().filter_map(ChatId::new),
            entities.into_iter().filter_map(entity),
        )
    }

    /// Returns all ids of a world and the [small](Self::small) ones, so that there are strangers
    /// too.
    #[must_use]
    pub fn about(world: &Snapshot) -> Self {
        let Self { mut users, mut chats, mut entities } = Self::small();
        users.extend(world.users.iter().map(|user| user.id));
        users.extend(world.access.iter().map(|access| access.user));
        users.extend(world.removers.iter().map(|remover| remover.user));
        for chat in &world.chats {
            chats.push(chat.id);
            users.extend(&chat.members);
        }
        entities.extend(world.links.iter().map(|link| link.entity));
        entities.extend(world.access.iter().map(|access| access.entity));
        Self::new(users, chats, entities)
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    BTreeSet::from_iter(items).into_iter().collect()
}

/// Returns every pair of items of two lists.
pub(super) fn pairs<A: Copy, B: Copy>(left: &[A], right: &[B]) -> Vec<(A, B)> {
    let pairs = left.iter().flat_map(|a| right.iter().map(|b| (*a, *b)));
    pairs.collect()
}
