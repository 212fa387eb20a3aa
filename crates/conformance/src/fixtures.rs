//! The small world of most cases, and short constructors.

use crm_chat_domain::snapshot::{Chat, User};
use crm_chat_domain::{
    Change, ChatId, Edit, Entity, OwnerChange, Removal, RemovalRecord, Request, Snapshot, UserId,
};

/// The world of [`office`] as JSON, for reference while reading a case.
///
/// If user 7 is removed from chat 8773, user 13 succeeds: a bot (20), an external user (21) and an
/// inactive one (14) joined before it; 12 has a lower id but joined later. The last chat of
/// `deal:288` is 8773, although 8800 has the higher id. `contact:288` has the number of the deal,
/// and chat 12 that of a user.
pub const OFFICE: &str = r#"{
  "users": [
    {"id": 1, "active": true}, {"id": 2, "active": true}, {"id": 3, "active": true}, {"id": 4, "active": true},
    {"id": 7, "active": true}, {"id": 12, "active": true}, {"id": 13, "active": true}, {"id": 14, "active": false},
    {"id": 20, "active": true, "kind": "bot"}, {"id": 21, "active": true, "kind": "external"}
  ],
  "chats": [
    {"id": 12, "owner": 12, "members": [12, 13]},
    {"id": 8773, "owner": 7, "members": [20, 21, 14, 7, 13, 12]},
    {"id": 8800, "owner": 12, "members": [7, 12, 1]},
    {"id": 9000, "members": [12, 7]}
  ],
  "links": [
    {"entity": {"type": "deal", "id": 288}, "chat": 8800},
    {"entity": {"type": "contact", "id": 288}, "chat": 12},
    {"entity": {"type": "lead", "id": 5}, "chat": 9000},
    {"entity": {"type": "deal", "id": 288}, "chat": 8773},
    {"entity": {"type": "company", "id": 6}, "chat": 8773}
  ],
  "access": [
    {"user": 1, "entity": {"type": "lead", "id": 5}},
    {"user": 1, "entity": {"type": "deal", "id": 288}},
    {"user": 1, "entity": {"type": "deal", "id": 289}},
    {"user": 2, "entity": {"type": "deal", "id": 288}},
    {"user": 7, "entity": {"type": "deal", "id": 288}}
  ],
  "removers": [
    {"user": 1, "chat": 8773}, {"user": 1, "chat": 8800}, {"user": 1, "chat": 9000},
    {"user": 3, "chat": 8773}, {"user": 7, "chat": 8773}
  ],
  "removals": [
    {"chat": 8773, "user": 12, "actor": 1, "entity": {"type": "deal", "id": 288}, "new_owner": null},
    {"chat": 404, "user": 9, "actor": 1, "entity": {"type": "lead", "id": 404}, "new_owner": 7,
     "recorded_at": "2026-11-22T09:12:41.000000001Z"}
  ]
}"#;

/// Returns the world of most cases: [`OFFICE`], sorted.
#[must_use]
pub fn office() -> Snapshot {
    let mut office = world(OFFICE);
    office.sort();
    office
}

/// Returns a user id.
///
/// # Panics
/// If the number is not a valid id.
#[must_use]
pub const fn user(id: i64) -> UserId {
    UserId::new(id).expect("an id is positive")
}

/// Returns a chat id.
///
/// # Panics
/// If the number is not a valid id.
#[must_use]
pub const fn chat(id: i64) -> ChatId {
    ChatId::new(id).expect("an id is positive")
}

/// Returns an entity, given as `deal:288`.
///
/// # Panics
/// If the text is not an entity.
#[must_use]
pub fn entity(text: &str) -> Entity {
    text.parse().expect("an entity has the form KIND:ID")
}

/// Returns a request to remove a user from the last chat of `deal:288`, which is 8773 in the
/// [`office`].
#[must_use]
pub fn removal(id: i64) -> Removal {
    Removal::new(entity("deal:288"), user(id))
}

/// Returns the change that user 1 makes by removing a user from chat 8773 through `deal:288`.
#[must_use]
pub fn change(id: i64, owner: OwnerChange) -> Change {
    Change { chat: chat(8773), user: user(id), actor: user(1), entity: entity("deal:288"), owner }
}

/// Returns the world after a change, with a record that has no time.
///
/// # Panics
/// If the world has no such chat.
#[must_use]
pub fn after(world: &Snapshot, change: &Change) -> Snapshot {
    let mut world = world.clone();
    let chat = chat_of(&mut world, change.chat);
    chat.members.retain(|member| *member != change.user);
    match change.owner {
        OwnerChange::Unchanged => {}
        OwnerChange::PassesTo(owner) => chat.owner = Some(owner),
        OwnerChange::Vacant => chat.owner = None,
    }
    world.removals.push(RemovalRecord::new(change, None));
    world
}

/// Returns a chat of a world for modification.
///
/// # Panics
/// If the world has no such chat.
pub fn chat_of(world: &mut Snapshot, id: ChatId) -> &mut Chat {
    let mut chats = world.chats.iter_mut();
    chats.find(|chat| chat.id == id).expect("the chat is in the world")
}

/// Returns a user of a world for modification.
///
/// # Panics
/// If the world has no such user.
pub fn user_of(world: &mut Snapshot, id: UserId) -> &mut User {
    let mut users = world.users.iter_mut();
    users.find(|user| user.id == id).expect("the user is in the world")
}

/// Parses a world in JSON.
///
/// # Panics
/// If the text is not a snapshot.
#[must_use]
pub fn world(json: &str) -> Snapshot {
    serde_json::from_str(json).expect("the text is a snapshot")
}

/// Parses a request in JSON with the parameter names of the API: `{"CRM_ENTITY_TYPE": "deal", …}`.
///
/// # Panics
/// If the text is not a JSON object.
#[must_use]
pub fn request(json: &str) -> Request {
    serde_json::from_str(json).expect("the text is a JSON object")
}

/// Parses an edit in JSON: `{"join": {"chat": 8773, "user": 12}}`.
///
/// # Panics
/// If the text is not an edit.
#[must_use]
pub fn edit(json: &str) -> Edit {
    serde_json::from_str(json).expect("the text is an edit")
}
