//! Rules 6 to 12: one question to the storage and one check each.

use super::EarlyExit;
use crate::{
    ChatId, ChatRepo, CrmRepo, Entity, IfAbsent, Outcome, OwnerChange, Permissions, Refusal, Role,
    StoreError, UserId, UserRepo,
};

/// Checks rule 6: the messenger is installed.
pub(crate) async fn messenger(tx: &mut impl ChatRepo) -> Result<(), EarlyExit> {
    check(tx.messenger_installed().await?, Refusal::MessengerNotInstalled)
}

/// Checks rule 7: the actor has access to the entity.
pub(crate) async fn access(
    tx: &mut impl Permissions,
    actor: UserId,
    entity: Entity,
) -> Result<(), EarlyExit> {
    check(tx.has_access(actor, entity).await?, Refusal::AccessDenied { actor, entity })
}

/// Checks rule 8 for a request that names no chat, and returns the last chat of the entity.
pub(crate) async fn last_chat(tx: &mut impl CrmRepo, entity: Entity) -> Result<ChatId, EarlyExit> {
    Ok(tx.last_chat(entity).await?.ok_or(Outcome::NoChat)?)
}

/// Checks rule 9 for a request that names its chat: the chat is linked to the entity.
pub(crate) async fn link(
    tx: &mut impl CrmRepo,
    chat: ChatId,
    entity: Entity,
) -> Result<(), EarlyExit> {
    check(tx.is_linked(chat, entity).await?, Refusal::ChatNotInCrm { chat, entity })
}

/// Checks rule 10: the actor may remove users from this chat of this entity.
pub(crate) async fn permission(
    tx: &mut impl Permissions,
    actor: UserId,
    chat: ChatId,
    entity: Entity,
) -> Result<(), EarlyExit> {
    check(tx.may_remove(actor, chat, entity).await?, Refusal::RemovalDenied { actor, chat, entity })
}

/// Checks rule 11: the user exists and is active.
pub(crate) async fn active_user(tx: &mut impl UserRepo, user: UserId) -> Result<(), EarlyExit> {
    check(tx.is_active(user).await?, Refusal::UserNotActive { user })
}

/// Checks rule 12: the user is a member of the chat, and returns the role.
pub(crate) async fn member(
    tx: &mut impl ChatRepo,
    chat: ChatId,
    user: UserId,
    if_absent: IfAbsent,
) -> Result<Role, EarlyExit> {
    tx.role(chat, user).await?.ok_or_else(|| not_a_member(chat, user, if_absent))
}

/// Returns the effect on the ownership of `chat` when `user`, who has `role`, leaves.
///
/// Not a rule: it never refuses. The successor is asked for only if the owner leaves.
pub(crate) async fn owner_change(
    tx: &mut impl ChatRepo,
    chat: ChatId,
    user: UserId,
    role: Role,
) -> Result<OwnerChange, StoreError> {
    Ok(match role {
        Role::Member => OwnerChange::Unchanged,
        Role::Owner => {
            tx.successor(chat, user).await?.map_or(OwnerChange::Vacant, OwnerChange::PassesTo)
        }
    })
}

/// Ends the removal of a user who is not in the chat, as the caller chose.
pub(crate) fn not_a_member(chat: ChatId, user: UserId, if_absent: IfAbsent) -> EarlyExit {
    match if_absent {
        IfAbsent::Refuse => Refusal::NotAMember { user, chat }.into(),
        IfAbsent::Accept => Outcome::AlreadyAbsent { chat }.into(),
    }
}

fn check(holds: bool, refusal: Refusal) -> Result<(), EarlyExit> {
    if holds { Ok(()) } else { Err(refusal.into()) }
}
