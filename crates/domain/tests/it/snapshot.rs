//! Snapshots: validation, order and the JSON document.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    Change, ChatId, Entity, EntityKind, OwnerChange, RemovalRecord, Snapshot, Timestamp, UserId,
};

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn chat(id: i64) -> ChatId {
    ChatId::new(id).unwrap()
}

fn entity(kind: EntityKind, id: i64) -> Entity {
    Entity::new(kind, id).unwrap()
}

fn deal() -> Entity {
    entity(EntityKind::Deal, 288)
}

/// Returns a valid snapshot with two of everything, sorted.
fn valid() -> Snapshot {
    let human = |id| User { id: user(id), active: true, kind: UserKind::Human };
    let record = RemovalRecord {
        chat: chat(99),
        user: user(9),
        actor: user(1),
        entity: deal(),
        new_owner: None,
        recorded_at: None,
    };
    Snapshot {
        messenger_installed: true,
        users: vec![human(7), human(12)],
        chats: vec![
            Chat { id: chat(1), owner: None, members: vec![] },
            Chat { id: chat(8773), owner: Some(user(7)), members: vec![user(55), user(7)] },
        ],
        links: [chat(8773), chat(1)].map(|chat| Link { entity: deal(), chat }).to_vec(),
        access: [user(1), user(56)].map(|user| AccessGrant { user, entity: deal() }).to_vec(),
        removers: [user(1), user(56)].map(|user| RemovalRight { user, chat: chat(1) }).to_vec(),
        removals: vec![record, record],
    }
}

#[test]
fn members_actors_and_holders_of_rights_may_be_unknown_and_records_may_repeat() {
    assert_eq!(valid().validate(), Ok(()));
    assert_eq!(Snapshot::default().validate(), Ok(()));
}

#[test]
fn validation_error_names_the_place() {
    type Break = fn(&mut Snapshot);
    let table: [(Break, &str); 10] = [
        (
            |s| {
                s.users.push(User { active: false, ..s.users[1] });
            },
            "`users[2]`: user 12 is listed twice",
        ),
        (|s| s.chats.push(s.chats[0].clone()), "`chats[2]`: chat 1 is listed twice"),
        (
            |s| s.chats[1].members.extend([user(12), user(55), user(12)]),
            "`chats[1].members[3]`: member 55 is listed twice",
        ),
        (
            |s| s.chats[1].owner = Some(user(12)),
            "`chats[1].owner`: user 12 is not a member of chat 8773",
        ),
        (
            |s| s.chats[0].owner = Some(user(7)),
            "`chats[0].owner`: user 7 is not a member of chat 1",
        ),
        (|s| s.links[1].chat = chat(2), "`links[1].chat`: chat 2 is not listed in `chats`"),
        (|s| s.removers[0].chat = chat(2), "`removers[0].chat`: chat 2 is not listed in `chats`"),
        (|s| s.links.push(s.links[0]), "`links[2]`: link (deal:288, 8773) is listed twice"),
        (|s| s.access.push(s.access[1]), "`access[2]`: access (56, deal:288) is listed twice"),
        (|s| s.removers[1].user = user(1), "`removers[1]`: remover (1, 1) is listed twice"),
    ];
    for (break_it, message) in table {
        let mut snapshot = valid();
        break_it(&mut snapshot);
        let error = snapshot.validate().unwrap_err();
        assert_eq!(error.to_string(), message);
        let place = message.split('`').nth(1);
        assert_eq!(Some(error.place()), place);
    }
}

#[test]
fn entries_that_differ_in_one_field_are_distinct() {
    let mut snapshot = valid();
    snapshot.links.push(Link { entity: entity(EntityKind::Lead, 288), chat: chat(1) });
    snapshot.access.push(AccessGrant { user: user(1), entity: entity(EntityKind::Deal, 289) });
    snapshot.removers.push(RemovalRight { user: user(1), chat: chat(8773) });
    assert_eq!(snapshot.validate(), Ok(()));
}

#[test]
fn sort_orders_only_lists_whose_order_means_nothing() {
    let mut snapshot = valid();
    let kinds = [EntityKind::Lead, EntityKind::Deal, EntityKind::Company, EntityKind::Contact];
    let sorted: Vec<AccessGrant> = [1, 2]
        .into_iter()
        .flat_map(|id| kinds.map(|kind| (id, kind)))
        .flat_map(|(id, kind)| {
            [9, 10].map(|entity_id| AccessGrant { user: user(id), entity: entity(kind, entity_id) })
        })
        .collect();
    snapshot.access = sorted.clone();
    let ordered = snapshot.clone();

    snapshot.users.reverse();
    snapshot.chats.reverse();
    snapshot.access.reverse();
    snapshot.removers.reverse();
    snapshot.sort();
    assert_eq!(snapshot, ordered);

    snapshot.links.reverse();
    snapshot.chats[1].members.reverse();
    let kept = snapshot.clone();
    snapshot.sort();
    assert_eq!(snapshot, kept, "the order of links and members is data");
}

#[test]
fn record_of_a_change_names_the_new_owner() {
    let stamp = Timestamp::new(0, 0).ok();
    for (owner, new_owner) in [
        (OwnerChange::Unchanged, None),
        (OwnerChange::Vacant, None),
        (OwnerChange::PassesTo(user(7)), Some(user(7))),
    ] {
        let change =
            Change { chat: chat(8773), user: user(12), actor: user(1), entity: deal(), owner };
        let record = RemovalRecord {
            chat: chat(8773),
            user: user(12),
            actor: user(1),
            entity: deal(),
            new_owner,
            recorded_at: stamp,
        };
        assert_eq!(RemovalRecord::new(&change, stamp), record);
    }
}

#[cfg(feature = "serde")]
mod json {
    use crm_chat_domain::{EntityId, LogEntry};
    use serde_json::{Value, from_value, json, to_value};

    use super::{Snapshot, Timestamp, UserKind, user, valid};

    /// The example document of the specification.
    fn example() -> Value {
        json!({
            "messenger_installed": true,
            "users":    [{"id": 12, "active": true, "kind": "human"}],
            "chats":    [{"id": 8773, "owner": 7, "members": [7, 12]}],
            "links":    [{"entity": {"type": "deal", "id": 288}, "chat": 8773}],
            "access":   [{"user": 1, "entity": {"type": "deal", "id": 288}}],
            "removers": [{"user": 1, "chat": 8773}],
            "removals": [{"chat": 8773, "user": 9, "actor": 1, "entity": {"type": "deal", "id": 288},
                          "new_owner": null, "recorded_at": "2026-11-22T09:12:41Z"}]
        })
    }

    #[test]
    fn example_document_survives_the_round_trip() {
        let snapshot: Snapshot = from_value(example()).unwrap();
        assert_eq!(snapshot.validate(), Ok(()));
        assert_eq!(snapshot.chats[0].members, [user(7), user(12)]);
        assert_eq!(snapshot.links[0].entity.id, EntityId::new(288).unwrap());
        assert_eq!(snapshot.removals[0].recorded_at, Timestamp::new(1_795_338_761, 0).ok());
        assert_eq!(to_value(&snapshot).unwrap(), example());
    }

    #[test]
    fn snapshots_survive_the_round_trip() {
        for snapshot in [valid(), Snapshot::default()] {
            let text = serde_json::to_string(&snapshot).unwrap();
            assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
        }
    }

    #[test]
    fn missing_fields_take_their_defaults() {
        assert_eq!(from_value::<Snapshot>(json!({})).unwrap(), Snapshot::default());
        let snapshot: Snapshot = from_value(json!({
            "messenger_installed": false,
            "users": [{"id": 1, "active": false}, {"id": 2, "active": true, "kind": "external"}],
            "chats": [{"id": 1}, {"id": 2, "owner": null}],
            "removals": [{"chat": 8773, "user": 9, "actor": 1, "entity": {"type": "deal", "id": 288}}]
        }))
        .unwrap();
        assert!(!snapshot.messenger_installed);
        let kinds: Vec<_> = snapshot.users.iter().map(|user| user.kind).collect();
        assert_eq!(kinds, [UserKind::Human, UserKind::External]);
        assert!(snapshot.chats.iter().all(|chat| chat.owner.is_none() && chat.members.is_empty()));
        let record = snapshot.removals[0];
        assert_eq!((record.new_owner, record.recorded_at), (None, None));
        assert_eq!(to_value(record).unwrap().get("recorded_at"), None);
    }

    /// JSON pointers to the objects of the example.
    const OBJECTS: [&str; 10] = [
        "",
        "/users/0",
        "/chats/0",
        "/links/0",
        "/links/0/entity",
        "/access/0",
        "/access/0/entity",
        "/removers/0",
        "/removals/0",
        "/removals/0/entity",
    ];

    #[test]
    fn unknown_field_is_refused_in_every_object() {
        for place in OBJECTS {
            let mut document = example();
            document.pointer_mut(place).unwrap()["note"] = json!(1);
            let error = from_value::<Snapshot>(document).unwrap_err().to_string();
            assert!(error.starts_with("unknown field `note`, expected "), "{place}: {error}");
        }
    }

    #[test]
    fn missing_field_without_a_default_is_refused_by_name() {
        let optional = ["owner", "members", "kind", "new_owner", "recorded_at"];
        for place in &OBJECTS[1..] {
            let fields = example().pointer(place).unwrap().as_object().unwrap().clone();
            for name in fields.keys() {
                let mut document = example();
                let object = document.pointer_mut(place).unwrap().as_object_mut().unwrap();
                object.remove(name);
                match from_value::<Snapshot>(document) {
                    Ok(_) => assert!(optional.contains(&name.as_str()), "{place} {name}"),
                    Err(error) => {
                        assert_eq!(error.to_string(), format!("missing field `{name}`"));
                        assert!(!optional.contains(&name.as_str()), "{place} {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn log_entry_is_its_record_with_its_number() {
        let snapshot: Snapshot = from_value(example()).unwrap();
        let [record] = snapshot.removals[..] else {
            panic!("one record");
        };
        let entry = LogEntry { sequence: 3, record };
        let mut expected = example()["removals"][0].clone();
        expected["sequence"] = json!(3);
        assert_eq!(to_value(entry).unwrap(), expected);
    }
}
