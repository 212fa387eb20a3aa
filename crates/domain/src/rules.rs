//! The rules, each once: rules 1 to 5 in [`request`], rules 6 to 12 here, one question and one check each.

use crate::{
    Answer, Change, ChatId, ChatRepo, CrmRepo, Entity, IfAbsent, Outcome, OwnerChange, Permissions,
    Refusal, Removal, Role, StoreError, Transaction, UserId, UserRepo,
};

pub(crate) mod request;

/// Why the walk through the rules ended before its end.
pub(crate) enum Stop {
    /// A rule decided.
    Decided(Answer),
    /// The storage failed.
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Decided(Err(refusal))
    }
}

impl From<Outcome> for Stop {
    fn from(outcome: Outcome) -> Self {
        Self::Decided(Ok(outcome))
    }
}

/// Asks rules 6 to 12 in their order and, if all hold, makes the change.
pub(crate) async fn remove(
    tx: &mut impl Transaction,
    actor: UserId,
    removal: &Removal,
) -> Result<Change, Stop> {
    let &Removal { entity, user, if_absent, .. } = removal;

    messenger(tx).await?;
    access(tx, actor, entity).await?;
    let chat = match removal.chat {
        Some(given) => {
            link(tx, given, entity).await?;
            given
        }
        None => last_chat(tx, entity).await?,
    };
    permission(tx, actor, chat, entity).await?;
    active_user(tx, user).await?;
    let role = member(tx, chat, user, if_absent).await?;

    let change =
        Change { chat, user, actor, entity, owner: owner_change(tx, chat, user, role).await? };
    if tx.remove_member(&change).await? {
        Ok(change)
    } else {
        Err(not_a_member(chat, user, if_absent))
    }
}

/// Rule 6.
pub(crate) async fn messenger(tx: &mut impl ChatRepo) -> Result<(), Stop> {
    check(tx.messenger_installed().await?, Refusal::MessengerNotInstalled)
}

/// Rule 7.
pub(crate) async fn access(
    tx: &mut impl Permissions,
    actor: UserId,
    entity: Entity,
) -> Result<(), Stop> {
    check(tx.has_access(actor, entity).await?, Refusal::AccessDenied { actor, entity })
}

/// Rule 8, where the request names no chat.
pub(crate) async fn last_chat(tx: &mut impl CrmRepo, entity: Entity) -> Result<ChatId, Stop> {
    Ok(tx.last_chat(entity).await?.ok_or(Outcome::NoChat)?)
}

/// Rule 9, where the request names the chat: the last chat is linked already.
pub(crate) async fn link(tx: &mut impl CrmRepo, chat: ChatId, entity: Entity) -> Result<(), Stop> {
    check(tx.is_linked(chat, entity).await?, Refusal::ChatNotInCrm { chat, entity })
}

/// Rule 10.
pub(crate) async fn permission(
    tx: &mut impl Permissions,
    actor: UserId,
    chat: ChatId,
    entity: Entity,
) -> Result<(), Stop> {
    check(tx.may_remove(actor, chat, entity).await?, Refusal::RemovalDenied { actor, chat, entity })
}

/// Rule 11.
pub(crate) async fn active_user(tx: &mut impl UserRepo, user: UserId) -> Result<(), Stop> {
    check(tx.is_active(user).await?, Refusal::UserNotActive { user })
}

/// Rule 12.
pub(crate) async fn member(
    tx: &mut impl ChatRepo,
    chat: ChatId,
    user: UserId,
    if_absent: IfAbsent,
) -> Result<Role, Stop> {
    tx.role(chat, user).await?.ok_or_else(|| not_a_member(chat, user, if_absent))
}

/// What becomes of the owner when a member with `role` leaves.
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

fn not_a_member(chat: ChatId, user: UserId, if_absent: IfAbsent) -> Stop {
    match if_absent {
        IfAbsent::Refuse => Refusal::NotAMember { user, chat }.into(),
        IfAbsent::Accept => Outcome::AlreadyAbsent { chat }.into(),
    }
}

fn check(holds: bool, refusal: Refusal) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(refusal.into()) }
}
