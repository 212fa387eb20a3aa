//! Removals: of one user, of many, and as part of the caller's own transaction.

use crate::rules::{self, EarlyExit};
use crate::transact::{Work, transact};
use crate::{Outcome, Refusal, Removal, Store, StoreError, Transaction, UserId};

/// The answer to a removal: an outcome, or a refusal, which is an ordinary answer too.
pub type Answer = Result<Outcome, Refusal>;

/// The error returned when a user was not removed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemoveError {
    /// A rule refused the removal. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The storage failed and gave no answer. [`StoreError::kind`] says whether anything was kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes a user from a chat of a CRM entity.
///
/// `actor` is the user on whose behalf the removal runs. Rules 6 to 12 are checked in their order
/// within one transaction. Every answer, a refusal too, is returned only after the transaction has
/// committed. A *conflict* is replayed up to seven times, each time after [`Store::backoff`].
///
/// If the future is dropped before the commit was first polled, nothing is kept. If it is dropped
/// later, the removal is whole or absent.
///
/// # Errors
/// [`RemoveError::Refused`] with the first rule that fails, or [`RemoveError::Store`] if the
/// storage failed at a question that the order reached, or at the beginning or the end of the
/// transaction.
pub async fn remove_user<S: Store>(
    store: &S,
    actor: UserId,
    removal: &Removal,
) -> Result<Outcome, RemoveError> {
    Ok(transact(store, &RemoveOne { actor, removal }).await??)
}

/// Removes many users in one transaction, and returns an answer for each request, in their order.
///
/// Each request sees the changes of those before it. A refusal changes nothing and does not affect
/// the other requests. A storage failure fails all of them, and nothing is kept.
///
/// All requests are kept or lost together, and a backend may block other writers meanwhile: send
/// many requests in chunks.
///
/// ```
/// use crm_chat_domain::{Removal, remove_users};
///
/// # futures_lite::future::block_on(async {
/// # let store = crm_chat_memory::Memory::new();
/// let actor = 1.try_into()?;
/// let removals = [("deal:288".parse()?, 12), ("lead:5".parse()?, 7)];
/// let requests = removals
///     .map(|(entity, user)| Ok((actor, Removal::new(entity, user.try_into()?))))
///     .into_iter()
///     .collect::<Result<Vec<_>, crm_chat_domain::InvalidIdError>>()?;
/// for answer in remove_users(&store, &requests).await? {
///     match answer {
///         Ok(outcome) => println!("{}", outcome.result()),
///         Err(refusal) => println!("{}: {refusal}", refusal.code()),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
/// Use it for a removal that is part of a larger unit of work, with further reads or writes in the
/// same transaction. The answer, a refusal too, is valid only once the transaction has committed.
/// [`transact`] commits, and replays conflicts; see [`Work`] for an example.
///
/// # Errors
/// [`StoreError`] if the storage failed at a question that the order reached. Roll the transaction
/// back in that case.
pub async fn remove_in<T: Transaction>(
    tx: &mut T,
    actor: UserId,
    removal: &Removal,
) -> Result<Answer, StoreError> {
    tx.prefetch(actor, removal).await;
    match rules::remove(tx, actor, removal).await {
        Ok(change) => Ok(Ok(Outcome::Removed(change))),
        Err(EarlyExit::Decided(answer)) => Ok(answer),
        Err(EarlyExit::Failed(error)) => Err(error),
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
