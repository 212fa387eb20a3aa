//! Futures that are dropped before their end.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// What became of a future that was to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned<T> {
    /// It was dropped, unfinished.
    Dropped,
    /// It came to its end before.
    Finished(T),
}

/// Polls a future up to `polls` times, each time that it is woken, and drops it.
///
/// With 0 it is dropped without having been polled. What waits for something that does not happen keeps waiting. A
/// store that waits for nothing, such as memory that nobody else holds, comes to its end at the first poll: to drop a
/// removal at one of its calls there, [stall](crate::faults::Fault::StallBefore) the call and drop the removal when its gate
/// is reached.
pub async fn abandon_after<F: Future>(future: F, polls: usize) -> Abandoned<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(Abandoned::Dropped);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Abandoned::Finished(output)),
            Poll::Pending if left == 0 => Poll::Ready(Abandoned::Dropped),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
