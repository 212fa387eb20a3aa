//! The rules of a removal and the order in which they are checked.
//!
//! Each rule exists once, as a function: rules 1 to 5 in [`request`], rules 6 to 12 in [`storage`].
//! [`remove`] and [`explain`](crate::explain()) are two ways to walk through them. The published
//! table of numbers, codes and statuses is [`Rule`].

use crate::{Answer, Change, Outcome, Refusal, Removal, StoreError, Transaction, UserId};

pub(crate) mod request;
pub(crate) mod storage;
mod table;

pub use table::Rule;

/// The reason why a removal ended before its change was made.
pub(crate) enum EarlyExit {
    /// A rule decided.
    Decided(Answer),
    /// The storage failed.
    Failed(StoreError),
}

impl From<StoreError> for EarlyExit {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for EarlyExit {
    fn from(refusal: Refusal) -> Self {
        Self::Decided(Err(refusal))
    }
}

impl From<Outcome> for EarlyExit {
    fn from(outcome: Outcome) -> Self {
        Self::Decided(Ok(outcome))
    }
}

/// Checks rules 6 to 12 in their order and, if all of them hold, makes the change.
///
/// The order of the questions is part of the contract: a storage failure is reported only if the
/// order reaches the question that fails.
pub(crate) async fn remove(
    tx: &mut impl Transaction,
    actor: UserId,
    removal: &Removal,
) -> Result<Change, EarlyExit> {
    let &Removal { entity, user, if_absent, .. } = removal;

    storage::messenger(tx).await?;
    storage::access(tx, actor, entity).await?;
    let chat = match removal.chat {
        Some(given) => {
            storage::link(tx, given, entity).await?;
            given
        }
        // The last chat is linked by definition, so rule 9 needs no question of its own.
        None => storage::last_chat(tx, entity).await?,
    };
    storage::permission(tx, actor, chat, entity).await?;
    storage::active_user(tx, user).await?;
    let role = storage::member(tx, chat, user, if_absent).await?;

    let owner = storage::owner_change(tx, chat, user, role).await?;
    let change = Change { chat, user, actor, entity, owner };
    if tx.remove_member(&change).await? {
        Ok(change)
    } else {
        // Rule 12 held a moment ago, but the write affected no row. Under weak isolation another
        // transaction may have removed the member in between; the write has the last word.
        Err(storage::not_a_member(chat, user, if_absent))
    }
}
