//! Strategies for edits.

use crm_chat_domain::snapshot::{AccessGrant, Link, RemovalRight, User};
use crm_chat_domain::{Edit, Snapshot};
use proptest::prelude::*;
use proptest::sample::select;

use super::ids::Ids;
use super::worlds::arb_user_kind;

/// Generates an edit of `world`, of any of the sixteen kinds: one that changes something, one that
/// changes nothing, or one that is rejected.
pub fn arb_edit(world: &Snapshot) -> impl Strategy<Value = Edit> + use<> {
    let ids = Ids::about(world);
    prop_oneof![
        4 => arb_user_edit(&ids),
        6 => arb_chat_edit(&ids),
        4 => arb_link_edit(&ids),
        4 => arb_right_edit(&ids),
        1 => proptest::bool::weighted(0.3)
            .prop_map(|missing| Edit::SetMessenger { installed: !missing }),
    ]
}

fn arb_user_edit(ids: &Ids) -> impl Strategy<Value = Edit> + use<> {
    let users = || select(ids.users.clone());
    prop_oneof![
        (users(), any::<bool>(), arb_user_kind())
            .prop_map(|(id, active, kind)| { Edit::AddUser(User { id, active, kind }) }),
        users().prop_map(|user| Edit::ActivateUser { user }),
        users().prop_map(|user| Edit::DeactivateUser { user }),
    ]
}

fn arb_chat_edit(ids: &Ids) -> impl Strategy<Value = Edit> + use<> {
    let chats = || select(ids.chats.clone());
    let both = || (chats(), select(ids.users.clone()));
    prop_oneof![
        3 => both().prop_map(|(chat, user)| Edit::Join { chat, user }),
        3 => both().prop_map(|(chat, user)| Edit::Leave { chat, user }),
        3 => both().prop_map(|(chat, user)| Edit::SetOwner { chat, user }),
        1 => chats().prop_map(|chat| Edit::ClearOwner { chat }),
        2 => chats().prop_map(|chat| Edit::AddChat { chat }),
        1 => chats().prop_map(|chat| Edit::DeleteChat { chat }),
    ]
}

fn arb_link_edit(ids: &Ids) -> impl Strategy<Value = Edit> + use<> {
    let both = (select(ids.entities.clone()), select(ids.chats.clone()));
    (both, proptest::bool::weighted(0.3)).prop_map(|((entity, chat), unlink)| {
        let link = Link { entity, chat };
        if unlink { Edit::Unlink(link) } else { Edit::Link(link) }
    })
}

fn arb_right_edit(ids: &Ids) -> impl Strategy<Value = Edit> + use<> {
    let users = || select(ids.users.clone());
    let access = (users(), select(ids.entities.clone()), any::<bool>());
    let remover = (users(), select(ids.chats.clone()), any::<bool>());
    prop_oneof![
        access.prop_map(|(user, entity, revoke)| {
            let access = AccessGrant { user, entity };
            if revoke { Edit::RevokeAccess(access) } else { Edit::GrantAccess(access) }
        }),
        remover.prop_map(|(user, chat, revoke)| {
            let remover = RemovalRight { user, chat };
            if revoke { Edit::RevokeRemoval(remover) } else { Edit::GrantRemoval(remover) }
        }),
    ]
}
