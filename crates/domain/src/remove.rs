//! Begin, rules, commit, and the bounded replay of conflicts around them.

use std::future::Future;

use crate::rules::{self, Stop};
use crate::{
    Outcome, Refusal, Removal, Store, StoreError, StoreErrorKind, Transaction, UnitOfWork, UserId,
};

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
    Ok(transact(store, &One(actor, removal)).await??)
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
    transact(store, &Many(requests)).await
}

/// What is done between `begin` and `commit`, as often as it takes. A trait and no closure: the future of an async
/// closure cannot be required to be `Send`.
pub(crate) trait Work: Sync {
    type Answer: Send;

    fn run(
        &self,
        tx: &mut impl Transaction,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// How often a transaction that ends in a conflict is tried in all.
const ATTEMPTS: u32 = 8;

/// Does the work in a transaction; replays conflicts.
pub(crate) async fn transact<S: Store, W: Work>(
    store: &S,
    work: &W,
) -> Result<W::Answer, StoreError> {
    let mut attempt = 1;
    loop {
        match try_once(store, work).await {
            Err(error) if error.kind() == StoreErrorKind::Conflict && attempt < ATTEMPTS => {
                store.backoff(attempt).await;
                attempt = attempt.saturating_add(1);
            }
            result => return result,
        }
    }
}

async fn try_once<S: Store, W: Work>(store: &S, work: &W) -> Result<W::Answer, StoreError> {
    let mut tx = store.begin().await?;
    match work.run(&mut tx).await {
        Ok(answer) => tx.commit().await.map(|()| answer),
        Err(error) => {
            // The first error is the one to tell: a failed rollback keeps nothing either.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

struct One<'a>(UserId, &'a Removal);

impl Work for One<'_> {
    type Answer = Answer;

    async fn run(&self, tx: &mut impl Transaction) -> Result<Answer, StoreError> {
        let &Self(actor, removal) = self;
        tx.announce(actor, removal).await;
        match rules::remove(tx, actor, removal).await {
            Ok(change) => Ok(Ok(Outcome::Removed(change))),
            Err(Stop::Decided(answer)) => Ok(answer),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

struct Many<'a>(&'a [(UserId, Removal)]);

impl Work for Many<'_> {
    type Answer = Vec<Answer>;

    async fn run(&self, tx: &mut impl Transaction) -> Result<Vec<Answer>, StoreError> {
        let mut answers = Vec::with_capacity(self.0.len());
        for (actor, removal) in self.0 {
            answers.push(One(*actor, removal).run(tx).await?);
        }
        Ok(answers)
    }
}
