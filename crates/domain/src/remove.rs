//! Removals: one, many, and one inside the caller's own transaction.

use crate::rules::{self, Stop};
use crate::transact::{Work, transact};
use crate::{Outcome, Refusal, Removal, Store, StoreError, Transaction, UserId};

/// What the rules say to a removal: an outcome, or a refusal, which is an ordinary answer too.
pub type Answer = Result<Outcome, Refusal>;

/// Why a user was not removed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemoveError {
    /// A rule said no. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The storage failed: not an answer. See [`StoreError::kind`] for whether anything was kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes a user from a chat of a CRM entity.
///
/// `actor` is the user on whose behalf the removal runs. Rules 6 to 12 are asked in their order within one transaction;
/// the answer, a refusal too, is given only after it was committed. A *conflict* is replayed up to seven times, each
/// after [`Store::backoff`].
///
/// Dropping the future before the commit was first polled leaves nothing behind; later, the removal is whole or absent.
///
/// # Errors
/// [`RemoveError::Refused`] with the first rule that fails, or [`RemoveError::Store`] if the storage failed at a
/// question that the order reached, or at beginning or ending the transaction.
pub async fn remove_user<S: Store>(
    store: &S,
    actor: UserId,
    removal: &Removal,
) -> Result<Outcome, RemoveError> {
    Ok(transact(store, &RemoveOne { actor, removal }).await??)
}

/// Removes many users in one transaction: an answer for each request, in their order.
///
/// Each request sees what those before it changed. A refusal changes nothing and hinders no other; a storage failure
/// fails them all, and nothing is kept. Since all are kept or lost together and a backend may let nobody else write
/// meanwhile, a caller with many requests sends them in chunks.
///
/// # Errors
/// [`StoreError`] if the storage failed; see [`remove_user`].
pub async fn remove_users<S: Store>(
    store: &S,
    requests: &[(UserId, Removal)],
) -> Result<Vec<Answer>, StoreError> {
    transact(store, &RemoveMany(requests)).await
}

/// Removes a user within a transaction that the caller began and will commit.
///
/// For a removal that is part of something larger: ask or write more through the same transaction, before or after. The
/// answer counts only once the transaction is committed, a refusal too; [`transact`] commits and replays conflicts.
///
/// # Errors
/// [`StoreError`] if the storage failed at a question that the order reached. Roll the transaction back then.
pub async fn remove_in<T: Transaction>(
    tx: &mut T,
    actor: UserId,
    removal: &Removal,
) -> Result<Answer, StoreError> {
    tx.announce(actor, removal).await;
    match rules::remove(tx, actor, removal).await {
        Ok(change) => Ok(Ok(Outcome::Removed(change))),
        Err(Stop::Decided(answer)) => Ok(answer),
        Err(Stop::Failed(error)) => Err(error),
    }
}

struct RemoveOne<'a> {
    actor: UserId,
    removal: &'a Removal,
}

impl<T: Transaction> Work<T> for RemoveOne<'_> {
    type Output = Answer;

    async fn run(&self, tx: &mut T) -> Result<Answer, StoreError> {
        remove_in(tx, self.actor, self.removal).await
    }
}

struct RemoveMany<'a>(&'a [(UserId, Removal)]);

impl<T: Transaction> Work<T> for RemoveMany<'_> {
    type Output = Vec<Answer>;

    async fn run(&self, tx: &mut T) -> Result<Vec<Answer>, StoreError> {
        let mut answers = Vec::with_capacity(self.0.len());
        for (actor, removal) in self.0 {
            answers.push(remove_in(tx, *actor, removal).await?);
        }
        Ok(answers)
    }
}
