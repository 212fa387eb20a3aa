//! Ids and odd values.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    Argument, Change, Edit, Entity, EntityKind, Input, OwnerChange, Refusal, Removal,
    RemovalRecord, Request, Snapshot,
};

use crate::fixtures::{after, change, chat, entity, office, removal, user};
use crate::harness::written_request;
use crate::model::Model;
use crate::{Harness, Lab, Subject};

/// The edges of 32-bit integers, signed and not, of what a 64-bit float holds exactly, and of the ids themselves. Cut to
/// 32 bits, or rounded to a float, two of them are one.
const EDGES: [i64; 12] = [
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

/// D1: ids 1, 2^31, 2^53±1, 2^63-1 stored and read back: exact, and told apart.
pub fn d1_ids_are_exact<H: Harness>(lab: &Lab<H>) {
    let mut expected = edges();
    let subject = lab.open(&expected);
    subject.holds(&expected);
    for (place, &id) in EDGES.iter().enumerate() {
        let next = EDGES[(place + 1) % EDGES.len()];
        let deal = deal(id);
        let denied = Refusal::AccessDenied { actor: user(next), entity: deal };
        subject.refuses(user(next), &Removal::new(deal, user(id)), denied);
        let change = Change {
            chat: chat(id),
            user: user(id),
            actor: user(id),
            entity: deal,
            owner: OwnerChange::PassesTo(user(next)),
        };
        subject.removes(&Removal::new(deal, user(id)), &change);
        expected = after(&expected, &change);
    }
    subject.holds(&expected);
}

/// D1: ids 1, 2^31, 2^53±1, 2^63-1 in questions: told apart by each of them, and by single changes.
pub fn d1_ids_are_told_apart<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&edges());
    let mut model = Model::new(edges());
    for one in EDGES {
        for other in EDGES {
            is_explained(&subject, &model, [other, one, one]);
            is_explained(&subject, &model, [one, other, one]);
            is_explained(&subject, &model, [one, one, other]);
        }
    }
    for id in EDGES {
        let (chat, user) = (chat(id), user(id));
        for edit in [
            Edit::DeactivateUser { user },
            Edit::Leave { chat, user },
            Edit::RevokeAccess(access(id, deal(id))),
            Edit::RevokeRemoval(remover(id, id)),
            Edit::Unlink(link(deal(id), id)),
        ] {
            subject.edit(&edit);
            subject.same("the change", &Ok(()), &model.edit(&edit));
        }
        for other in EDGES {
            is_explained(&subject, &model, [other, other, other]);
        }
    }
    subject.holds(&model.dump());
}

/// An actor, who would remove itself, a deal and a chat, by their numbers: the store explains it as the model does.
fn is_explained<H: Harness>(subject: &Subject<'_, H>, model: &Model, numbers: [i64; 3]) {
    let [actor, of_deal, of_chat] = numbers;
    let asked = Removal::new(deal(of_deal), user(actor)).in_chat(chat(of_chat));
    subject.explains_as(model, user(actor), &Request::from(&asked));
}

/// Every edge is a user, a chat and a deal; the user owns the chat, may do everything there and nothing elsewhere. The
/// members joined in the edges' order, from the owner on.
fn edges() -> Snapshot {
    let ring = |place: usize| EDGES.iter().cycle().skip(place).take(EDGES.len());
    Snapshot {
        users: EDGES.map(human).to_vec(),
        chats: (0..EDGES.len())
            .map(|place| Chat {
                id: chat(EDGES[place]),
                owner: Some(user(EDGES[place])),
                members: ring(place).copied().map(user).collect(),
            })
            .collect(),
        links: EDGES.map(|id| link(deal(id), id)).to_vec(),
        access: EDGES.map(|id| access(id, deal(id))).to_vec(),
        removers: EDGES.map(|id| remover(id, id)).to_vec(),
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

/// D1: a dump of what was loaded equals it, sorted; links, members and records keep their order, records their times, and
/// none of many or of two alike is lost.
pub fn d1_dump_equals_what_was_loaded<H: Harness>(lab: &Lab<H>) {
    let mut shuffled = office();
    shuffled.users.reverse();
    shuffled.chats.reverse();
    shuffled.access.reverse();
    shuffled.removers.reverse();
    let without_messenger = Snapshot { messenger_installed: false, ..Snapshot::default() };
    lab.open(&shuffled).holds(&office());
    for world in
        [Snapshot::default(), without_messenger, edges(), crowd(), long_ago_and_far_ahead()]
    {
        lab.open(&world).holds(&world);
    }
}

/// More of everything than goes on a page.
fn crowd() -> Snapshot {
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

/// Records of times before 1970, after 32 bits, and at the ends of what can be written.
fn long_ago_and_far_ahead() -> Snapshot {
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

/// D2: every odd value, for every field: the table's code; and what is merely written otherwise is understood.
pub fn d2_odd_values_are_refused<H: Harness>(lab: &Lab<H>) {
    let subject = lab.open(&office());
    let no_entity = Refusal::InvalidArgument(Argument::CrmEntity);
    let no_chat = Refusal::InvalidArgument(Argument::ChatId);
    for odd in odd_values() {
        is_refused(&subject, |request| &mut request.user_id, &odd, Refusal::EmptyUser);
        is_refused(&subject, |request| &mut request.crm_entity, &odd, no_entity);
        is_refused(&subject, |request| &mut request.chat_id, &odd, no_chat);
        let kind = Refusal::UnknownEntityKind;
        is_refused(&subject, |request| &mut request.crm_entity_type, &odd, kind);
    }
    for kind in ["Lead ", " deal", "deals", "12", "ſtart"] {
        let (kind, unknown) = (kind.into(), Refusal::UnknownEntityKind);
        is_refused(&subject, |request| &mut request.crm_entity_type, &kind, unknown);
    }
    for absent in [Input::Absent, 0_u64.into(), "".into(), "0".into(), false.into(), (-0.0).into()]
    {
        let empty = Refusal::EmptyCrmData;
        is_refused(&subject, |request| &mut request.user_id, &absent, Refusal::EmptyUser);
        is_refused(&subject, |request| &mut request.crm_entity, &absent, empty);
        is_refused(&subject, |request| &mut request.crm_entity_type, &absent, empty);
        is_understood(&subject, |request| request.chat_id = absent.clone());
    }
    for twelve in ["12", "0012", " 12", "\t12\r\n"] {
        is_understood(&subject, |request| request.user_id = twelve.into());
    }
    is_understood(&subject, |request| request.crm_entity_type = "dEaL".into());
    is_understood(&subject, |request| request.crm_entity = " 0288 ".into());
    subject.holds(&office());
}

fn odd_values() -> Vec<Input> {
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

/// A request that only a store can refuse.
fn request() -> Request {
    Request::from(&removal(12))
}

fn is_refused<H: Harness>(
    subject: &Subject<'_, H>,
    field: fn(&mut Request) -> &mut Input,
    value: &Input,
    refusal: Refusal,
) {
    let mut request = request();
    *field(&mut request) = value.clone();
    subject.same(
        &format!("{}.parse()", written_request(&request)),
        &Err(refusal),
        &request.parse(),
    );
    let explanation = subject.explain(subject.store(), user(1), &request);
    let decided = Some((refusal.rule(), Err(refusal)));
    subject.same("what decides", &decided, &explanation.deciding());
}

fn is_understood<H: Harness>(subject: &Subject<'_, H>, write: impl Fn(&mut Request)) {
    let mut request = request();
    write(&mut request);
    subject.same(
        &format!("{}.parse()", written_request(&request)),
        &Ok(removal(12)),
        &request.parse(),
    );
    let explanation = subject.explain(subject.store(), user(1), &request);
    let removed = change(12, OwnerChange::Unchanged);
    subject.same("the change", &Some(&removed), &explanation.change());
}

/// D3: a chat id where a user id belongs does not compile,
///
/// ```compile_fail,E0308
/// use crm_chat_conformance::fixtures::{chat, entity};
/// use crm_chat_domain::Removal;
///
/// Removal::new(entity("deal:288"), chat(12)); // the second argument is the user
/// ```
///
/// and in the store, too, equal numbers are different things.
pub fn d3_equal_numbers_are_not_the_same_thing<H: Harness>(lab: &Lab<H>) {
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
    let subject = lab.open(&world);
    let access_denied = |kind| Refusal::AccessDenied { actor: user(5), entity: five(kind) };
    let removal_denied =
        Refusal::RemovalDenied { actor: user(5), chat: chat(7), entity: five(EntityKind::Company) };
    let through = |kind| Removal::new(five(kind), user(5));
    for kind in [EntityKind::Lead, EntityKind::Contact] {
        subject.refuses(user(5), &through(kind), access_denied(kind));
    }
    subject.refuses(user(5), &through(EntityKind::Company), removal_denied);
    let change = Change {
        chat: chat(6),
        user: user(5),
        actor: user(5),
        entity: five(EntityKind::Deal),
        owner: OwnerChange::Unchanged,
    };
    subject.removes(&through(EntityKind::Deal), &change);
    subject.holds(&after(&world, &change));
}
