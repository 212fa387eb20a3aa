//! The JSON forms of edits.

use crm_chat_domain::snapshot::{
    AccessGrant, EditError, EditRejection, Link, RemovalRight, User, UserKind,
};
use crm_chat_domain::{ChatId, Edit, Entity, EntityKind, UserId};

/// Every edit with its JSON form.
fn edits() -> [(Edit, &'static str); 16] {
    let user = UserId::new(12).unwrap();
    let chat = ChatId::new(8773).unwrap();
    let entity = Entity::new(EntityKind::Deal, 288).unwrap();
    let bot = User { id: user, active: true, kind: UserKind::Bot };
    let (link, access, remover) =
        (Link { entity, chat }, AccessGrant { user, entity }, RemovalRight { user, chat });
    [
        (Edit::AddUser(bot), r#"{"add_user":{"id":12,"active":true,"kind":"bot"}}"#),
        (Edit::ActivateUser { user }, r#"{"activate_user":{"user":12}}"#),
        (Edit::DeactivateUser { user }, r#"{"deactivate_user":{"user":12}}"#),
        (Edit::AddChat { chat }, r#"{"add_chat":{"chat":8773}}"#),
        (Edit::DeleteChat { chat }, r#"{"delete_chat":{"chat":8773}}"#),
        (Edit::Join { chat, user }, r#"{"join":{"chat":8773,"user":12}}"#),
        (Edit::Leave { chat, user }, r#"{"leave":{"chat":8773,"user":12}}"#),
        (Edit::SetOwner { chat, user }, r#"{"set_owner":{"chat":8773,"user":12}}"#),
        (Edit::ClearOwner { chat }, r#"{"clear_owner":{"chat":8773}}"#),
        (Edit::Link(link), r#"{"link":{"entity":{"type":"deal","id":288},"chat":8773}}"#),
        (Edit::Unlink(link), r#"{"unlink":{"entity":{"type":"deal","id":288},"chat":8773}}"#),
        (
            Edit::GrantAccess(access),
            r#"{"grant_access":{"user":12,"entity":{"type":"deal","id":288}}}"#,
        ),
        (
            Edit::RevokeAccess(access),
            r#"{"revoke_access":{"user":12,"entity":{"type":"deal","id":288}}}"#,
        ),
        (Edit::GrantRemoval(remover), r#"{"grant_removal":{"user":12,"chat":8773}}"#),
        (Edit::RevokeRemoval(remover), r#"{"revoke_removal":{"user":12,"chat":8773}}"#),
        (Edit::SetMessenger { installed: false }, r#"{"set_messenger":{"installed":false}}"#),
    ]
}

#[test]
fn each_edit_is_an_object_of_one_key() {
    for (edit, json) in edits() {
        assert_eq!(serde_json::to_string(&edit).unwrap(), json);
        assert_eq!(serde_json::from_str::<Edit>(json).unwrap(), edit);
    }
}

#[test]
fn unknown_or_missing_field_is_refused() {
    for (_, json) in edits() {
        let unknown = json.replacen("}}", r#","note":1}}"#, 1);
        assert!(serde_json::from_str::<Edit>(&unknown).is_err(), "{unknown}");
        let (name, _) = json.split_once(':').unwrap();
        let empty = format!("{name}:{{}}}}");
        assert!(serde_json::from_str::<Edit>(&empty).is_err(), "{empty}");
    }
    for json in [r#"{"rename_chat":{"chat":1}}"#, r#"{"Join":{"chat":1,"user":1}}"#, "{}", "[]"] {
        assert!(serde_json::from_str::<Edit>(json).is_err(), "{json}");
    }
}

#[test]
fn rejection_names_the_unknown_id() {
    let user = UserId::new(12).unwrap();
    let chat = ChatId::new(8773).unwrap();
    for (rejection, message) in [
        (EditRejection::UnknownUser(user), "user 12 is not known"),
        (EditRejection::UnknownChat(chat), "chat 8773 is not known"),
        (EditRejection::NotAMember { chat, user }, "user 12 is not a member of chat 8773"),
    ] {
        assert_eq!(EditError::from(rejection).to_string(), message);
    }
}
