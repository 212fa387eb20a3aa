//! Ids and invalid values.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    Argument, Change, Edit, Entity, EntityKind, Input, OwnerChange, Refusal, Removal,
    RemovalRecord, Request, Snapshot,
};

use crate::fixtures::{after, change, chat, entity, office, removal, user};
use crate::model::Model;
use crate::suite::harness::Harness;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;
use crate::suite::transcript;

/// The limits of 32-bit integers, signed and unsigned, of the integers that a 64-bit float
/// represents exactly, and of ids. When cut to 32 bits or rounded to a float, some of them become
/// equal.
const LIMITS: [i64; 12] = [
    1,
    2,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + 1,
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    i64::MAX - 1,
    i64::MAX,
];

/// D1: ids 1, 2^31, 2^53±1 and 2^63-1 are stored and returned exactly, and are distinguished.
pub fn d1_ids_are_exact<H: Harness>(cx: &TestContext<H>) {
    let mut expected = world_of_limits();
    let test_store = cx.open(&expected);
    test_store.assert_state(&expected);
    for (index, &id) in LIMITS.iter().enumerate() {
        let next = LIMITS[(index + 1) % LIMITS.len()];
        let deal = deal(id);
        let denied = Refusal::AccessDenied { actor: user(next), entity: deal };
        test_store.assert_refused(user(next), &Removal::new(deal, user(id)), denied);
        let change = Change {
            chat: chat(id),
            user: user(id),
            actor: user(id),
            entity: deal,
            owner: OwnerChange::PassesTo(user(next)),
        };
        test_store.assert_removed(&Removal::new(deal, user(id)), &change);
        expected = after(&expected, &change);
    }
    test_store.assert_state(&expected);
}

/// D1: ids 1, 2^31, 2^53±1 and 2^63-1 are distinguished by every query and every edit.
pub fn d1_similar_ids_are_distinguished<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&world_of_limits());
    let mut model = Model::new(world_of_limits());
    for id in LIMITS {
        for other in LIMITS {
            assert_explained(&test_store, &model, [other, id, id]);
            assert_explained(&test_store, &model, [id, other, id]);
            assert_explained(&test_store, &model, [id, id, other]);
        }
    }
    for id in LIMITS {
        let (chat, user) = (chat(id), user(id));
        for edit in [
            Edit::DeactivateUser { user },
            Edit::Leave { chat, user },
            Edit::RevokeAccess(access(id, deal(id))),
            Edit::RevokeRemoval(remover(id, id)),
            Edit::Unlink(link(deal(id), id)),
        ] {
            test_store.edit(&edit);
            test_store.assert_eq("the edit", &Ok(()), &model.edit(&edit));
        }
        for other in LIMITS {
            assert_explained(&test_store, &model, [other, other, other]);
        }
    }
    test_store.assert_state(&model.dump());
}

/// Asserts that the store explains a removal as the model does. The numbers are those of an actor
/// that removes itself, of a deal and of a chat.
fn assert_explained<H: Harness>(test_store: &TestStore<'_, H>, model: &Model, numbers: [i64; 3]) {
    let [actor, of_deal, of_chat] = numbers;
    let removal = Removal::new(deal(of_deal), user(actor)).in_chat(chat(of_chat));
    test_store.assert_explanation(model, user(actor), &Request::from(&removal));
}

/// Returns a world in which every limit is the number of a user, a chat and a deal. The user owns
/// the chat and has all rights there and none elsewhere. The members joined in the order of the
/// limits, starting with the owner.
fn world_of_limits() -> Snapshot {
    let ring = |start: usize| LIMITS.iter().cycle().skip(start).take(LIMITS.len());
    Snapshot {
        users: LIMITS.map(human).to_vec(),
        chats: (0..LIMITS.len())
            .map(|index| Chat {
                id: chat(LIMITS[index]),
                owner: Some(user(LIMITS[index])),
                members: ring(index).copied().map(user).collect(),
            })
            .collect(),
        links: LIMITS.map(|id| link(deal(id), id)).to_vec(),
        access: LIMITS.map(|id| access(id, deal(id))).to_vec(),
        removers: LIMITS.map(|id| remover(id, id)).to_vec(),
        ..Snapshot::default()
    }
}

fn deal(id: i64) -> Entity {
    of_kind(EntityKind::Deal, id)
}

fn of_kind(kind: EntityKind, id: i64) -> Entity {
    entity(&format!("{kind}:{id}"))
}

fn human(id: i64) -> User {
    User { id: user(id), active: true, kind: UserKind::Human }
}

fn link(entity: Entity, id: i64) -> Link {
    Link { entity, chat: chat(id) }
}

fn access(id: i64, entity: Entity) -> AccessGrant {
    AccessGrant { user: user(id), entity }
}

fn remover(id: i64, from: i64) -> RemovalRight {
    RemovalRight { user: user(id), chat: chat(from) }
}

/// D1: a dump equals the snapshot that was loaded, sorted. Links, members and records keep their
/// order and records their times; no item of a long list, and neither of two equal ones, is lost.
pub fn d1_dump_equals_what_was_loaded<H: Harness>(cx: &TestContext<H>) {
    let mut shuffled = office();
    shuffled.users.reverse();
    shuffled.chats.reverse();
    shuffled.access.reverse();
    shuffled.removers.reverse();
    let without_messenger = Snapshot { messenger_installed: false, ..Snapshot::default() };
    cx.open(&shuffled).assert_state(&office());
    for world in [
        Snapshot::default(),
        without_messenger,
        world_of_limits(),
        crowded_world(),
        world_of_extreme_times(),
    ] {
        cx.open(&world).assert_state(&world);
    }
}

/// Returns a world with more items of every kind than fit on one page of results.
fn crowded_world() -> Snapshot {
    let ids = || 1..=1001_i64;
    let record = RemovalRecord::new(&change(12, OwnerChange::Vacant), None);
    Snapshot {
        users: ids().map(human).collect(),
        chats: ids()
            .map(|id| Chat {
                id: chat(id),
                owner: None,
                members: if id == 1 { ids().rev().map(user).collect() } else { Vec::new() },
            })
            .collect(),
        links: ids().rev().map(|id| link(deal(1), id)).collect(),
        access: ids().map(|id| access(1, deal(id))).collect(),
        removers: ids().map(|id| remover(1, id)).collect(),
        removals: vec![record; 1001],
        ..Snapshot::default()
    }
}

/// Returns a world with records from before 1970, from after the end of 32-bit time, and at both
/// ends of the valid range.
fn world_of_extreme_times() -> Snapshot {
    let times = [
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "1970-01-01T00:00:00Z",
        "2038-01-19T03:14:08Z",
        "2106-02-07T06:28:16.000001Z",
        "9999-12-31T23:59:59.999999999Z",
    ];
    let record = |time: &str| {
        let time = time.parse().expect("the text is a time");
        RemovalRecord::new(&change(12, OwnerChange::Vacant), Some(time))
    };
    Snapshot { removals: times.map(record).to_vec(), ..Snapshot::default() }
}

/// D2: every invalid value in every field gives the error code of the rule table; other notations
/// of valid values are accepted.
pub fn d2_invalid_values_are_refused<H: Harness>(cx: &TestContext<H>) {
    let test_store = cx.open(&office());
    let no_entity = Refusal::InvalidArgument(Argument::CrmEntity);
    let no_chat = Refusal::InvalidArgument(Argument::ChatId);
    for invalid in invalid_values() {
        assert_field_refused(
            &test_store,
            |request| &mut request.user_id,
            &invalid,
            Refusal::EmptyUser,
        );
        assert_field_refused(&test_store, |request| &mut request.crm_entity, &invalid, no_entity);
        assert_field_refused(&test_store, |request| &mut request.chat_id, &invalid, no_chat);
        let kind = Refusal::UnknownEntityKind;
        assert_field_refused(&test_store, |request| &mut request.crm_entity_type, &invalid, kind);
    }
    for kind in ["Lead ", " deal", "deals", "12", "ſtart"] {
        let (kind, unknown) = (kind.into(), Refusal::UnknownEntityKind);
        assert_field_refused(&test_store, |request| &mut request.crm_entity_type, &kind, unknown);
    }
    for absent in [Input::Absent, 0_u64.into(), "".into(), "0".into(), false.into(), (-0.0).into()]
    {
        let empty = Refusal::EmptyCrmData;
        assert_field_refused(
            &test_store,
            |request| &mut request.user_id,
            &absent,
            Refusal::EmptyUser,
        );
        assert_field_refused(&test_store, |request| &mut request.crm_entity, &absent, empty);
        assert_field_refused(&test_store, |request| &mut request.crm_entity_type, &absent, empty);
        assert_accepted(&test_store, |request| request.chat_id = absent.clone());
    }
    for twelve in ["12", "0012", " 12", "\t12\r\n"] {
        assert_accepted(&test_store, |request| request.user_id = twelve.into());
    }
    assert_accepted(&test_store, |request| request.crm_entity_type = "dEaL".into());
    assert_accepted(&test_store, |request| request.crm_entity = " 0288 ".into());
    test_store.assert_state(&office());
}

fn invalid_values() -> Vec<Input> {
    let texts = [
        "00",
        " ",
        "false",
        "12abc",
        "-1",
        "+1",
        "12.0",
        "1e3",
        "0x10",
        "1 2",
        "\u{a0}12",
        "\u{b}12",
        "12\u{c}",
        "\u{661}\u{662}",
        "9223372036854775808",
        "99999999999999999999999",
    ];
    let numbers = [9_223_372_036_854_775_808_u64, u64::MAX].map(Input::from);
    let others = [(-1_i64).into(), 12.5.into(), 12.0.into(), true.into(), Input::Other];
    texts.map(Input::from).into_iter().chain(numbers).chain(others).collect()
}

/// Returns a request that satisfies rules 1 to 5.
fn request() -> Request {
    Request::from(&removal(12))
}

fn assert_field_refused<H: Harness>(
    test_store: &TestStore<'_, H>,
    field: fn(&mut Request) -> &mut Input,
    value: &Input,
    refusal: Refusal,
) {
    let mut request = request();
    *field(&mut request) = value.clone();
    test_store.assert_eq(
        &format!("{}.parse()", transcript::request(&request)),
        &Err(refusal),
        &request.parse(),
    );
    let explanation = test_store.explain(test_store.store(), user(1), &request);
    let decided = Some((refusal.rule(), Err(refusal)));
    test_store.assert_eq("the deciding rule", &decided, &explanation.deciding());
}

fn assert_accepted<H: Harness>(test_store: &TestStore<'_, H>, modify: impl Fn(&mut Request)) {
    let mut request = request();
    modify(&mut request);
    test_store.assert_eq(
        &format!("{}.parse()", transcript::request(&request)),
        &Ok(removal(12)),
        &request.parse(),
    );
    let explanation = test_store.explain(test_store.store(), user(1), &request);
    let removed = change(12, OwnerChange::Unchanged);
    test_store.assert_eq("the change", &Some(&removed), &explanation.change());
}

/// D3: a chat id in the place of a user id does not compile,
///
/// ```compile_fail,E0308
/// use crm_chat_conformance::fixtures::{chat, entity};
/// use crm_chat_domain::Removal;
///
/// Removal::new(entity("deal:288"), chat(12)); // the second argument is the user
/// ```
///
/// and equal numbers of different kinds are distinct in the store, too.
pub fn d3_equal_numbers_of_different_kinds_are_distinct<H: Harness>(cx: &TestContext<H>) {
    let five = |kind| of_kind(kind, 5);
    let world = Snapshot {
        users: vec![human(5), human(6)],
        chats: [5, 6, 7, 8]
            .map(|id| Chat { id: chat(id), owner: None, members: vec![user(6), user(5)] })
            .to_vec(),
        links: EntityKind::ALL
            .into_iter()
            .zip(5..)
            .map(|(kind, id)| link(five(kind), id))
            .collect(),
        access: [EntityKind::Deal, EntityKind::Company].map(|kind| access(5, five(kind))).to_vec(),
        removers: vec![remover(5, 6), remover(6, 5)],
        ..Snapshot::default()
    };
    let test_store = cx.open(&world);
    let access_denied = |kind| Refusal::AccessDenied { actor: user(5), entity: five(kind) };
    let removal_denied =
        Refusal::RemovalDenied { actor: user(5), chat: chat(7), entity: five(EntityKind::Company) };
    let through_entity = |kind| Removal::new(five(kind), user(5));
    for kind in [EntityKind::Lead, EntityKind::Contact] {
        test_store.assert_refused(user(5), &through_entity(kind), access_denied(kind));
    }
    test_store.assert_refused(user(5), &through_entity(EntityKind::Company), removal_denied);
    let change = Change {
        chat: chat(6),
        user: user(5),
        actor: user(5),
        entity: five(EntityKind::Deal),
        owner: OwnerChange::Unchanged,
    };
    test_store.assert_removed(&through_entity(EntityKind::Deal), &change);
    test_store.assert_state(&after(&world, &change));
}
