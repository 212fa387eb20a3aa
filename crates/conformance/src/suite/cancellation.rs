//! Cancels futures after a number of polls.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// The outcome of [`cancel_after_polls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome<T> {
    /// The future was dropped before it completed.
    Dropped,
    /// The future completed first.
    Finished(T),
}

/// Polls a future at most `polls` times, each time that it is woken, and then drops it.
///
/// With 0, the future is dropped without having been polled. A future that is never woken stays
/// pending.
///
/// A store that never waits, such as uncontended memory, completes at its first poll. To cancel a
/// removal at one of its port calls on such a store, [stall](crate::doubles::Fault::StallBefore)
/// the call and drop the removal once the gate is reached.
pub async fn cancel_after_polls<F: Future>(future: F, polls: usize) -> CancelOutcome<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(CancelOutcome::Dropped);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(CancelOutcome::Finished(output)),
            Poll::Pending if left == 0 => Poll::Ready(CancelOutcome::Dropped),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
