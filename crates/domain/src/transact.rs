//! Units of work: begin, run, commit, and the bounded replay of conflicts.

use std::future::Future;

use crate::{Store, StoreError, StoreErrorKind, UnitOfWork};

/// The body of a transaction, run once for each attempt.
///
/// It is a trait rather than a closure because the future of an async closure cannot be required to
/// be `Send`. The body must be safe to repeat: after a conflict it runs again, in a new
/// transaction.
///
/// ```
/// use crm_chat_domain::{
///     Answer, Removal, StoreError, Transaction, UserId, UserRepo, Work, remove_in, transact,
/// };
///
/// /// A removal on behalf of a user who must be active; `None` if the actor is not.
/// struct RemoveIfActive {
///     actor: UserId,
///     removal: Removal,
/// }
///
/// impl<T: Transaction> Work<T> for RemoveIfActive {
///     type Output = Option<Answer>;
///
///     async fn run(&self, tx: &mut T) -> Result<Option<Answer>, StoreError> {
///         if !tx.is_active(self.actor).await? {
///             return Ok(None);
///         }
///         remove_in(tx, self.actor, &self.removal).await.map(Some)
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let store = crm_chat_memory::Memory::new();
/// let (actor, user) = (1.try_into()?, 7.try_into()?);
/// let work = RemoveIfActive { actor, removal: Removal::new("deal:288".parse()?, user) };
/// assert_eq!(transact(&store, &work).await?, None); // the store knows no user 1
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Work<T>: Sync {
    /// The result, returned once the transaction has committed.
    type Output: Send;

    /// Runs the body in a transaction that the caller commits, or rolls back on an error.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed. Return failures of your own as
    /// [`Output`](Self::Output): they depend on reads that are only valid once the transaction has
    /// committed.
    fn run(&self, tx: &mut T) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// The number of attempts at a transaction that keeps ending in conflicts, including the first.
const MAX_ATTEMPTS: u32 = 8;

/// Runs `work` in a transaction of its own and commits it.
///
/// A *conflict* is replayed up to seven times, each time after [`Store::backoff`]. If the future is
/// dropped before the commit was first polled, nothing is kept. If it is dropped later, the
/// transaction is whole or absent.
///
/// # Errors
/// [`StoreError`] if the storage failed. Its [`kind`](StoreError::kind) says whether anything was
/// kept.
pub async fn transact<S: Store, W: Work<S::Tx>>(
    store: &S,
    work: &W,
) -> Result<W::Output, StoreError> {
    replay(store, work, Mode::Write).await
}

/// Runs `work`, which must not write, in a [read transaction](Store::begin_read).
///
/// # Errors
/// [`StoreError`] if the storage failed, or if `work` writes and the backend's read transactions
/// refuse that.
pub async fn transact_read<S: Store, W: Work<S::Tx>>(
    store: &S,
    work: &W,
) -> Result<W::Output, StoreError> {
    replay(store, work, Mode::Read).await
}

/// The access that a transaction needs.
#[derive(Clone, Copy)]
enum Mode {
    Read,
    Write,
}

/// Runs `work` until it ends without a conflict, or until the attempts are used up.
async fn replay<S: Store, W: Work<S::Tx>>(
    store: &S,
    work: &W,
    mode: Mode,
) -> Result<W::Output, StoreError> {
    let mut attempt = 1;
    loop {
        match try_once(store, work, mode).await {
            Err(error) if error.kind() == StoreErrorKind::Conflict && attempt < MAX_ATTEMPTS => {
                store.backoff(attempt).await;
                // Bounded by MAX_ATTEMPTS; saturating because the crate denies arithmetic that
                // can overflow.
                attempt = attempt.saturating_add(1);
            }
            result => return result,
        }
    }
}

/// Runs `work` in one transaction and ends it.
async fn try_once<S: Store, W: Work<S::Tx>>(
    store: &S,
    work: &W,
    mode: Mode,
) -> Result<W::Output, StoreError> {
    let mut tx = match mode {
        Mode::Read => store.begin_read().await?,
        Mode::Write => store.begin().await?,
    };
    match work.run(&mut tx).await {
        // A refusal is an output and commits too: under optimistic isolation, only a commit proves
        // that what the refusal is based on was read from one state.
        Ok(output) => tx.commit().await.map(|()| output),
        Err(error) => {
            // Report the original error: nothing is kept even if the rollback fails.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}
