//! Cancellation after a number of polls.

use std::cell::Cell;

use crm_chat_conformance::{CancelOutcome, cancel_after_polls};
use futures_lite::future::{block_on, yield_now};

#[test]
fn future_is_polled_as_often_as_asked_and_then_dropped() {
    let completes_at_third_poll = [
        (0, CancelOutcome::Dropped, 0),
        (1, CancelOutcome::Dropped, 1),
        (2, CancelOutcome::Dropped, 2),
        (3, CancelOutcome::Finished("done"), 3),
        (9, CancelOutcome::Finished("done"), 3),
    ];
    for (polls, expected, polled) in completes_at_third_poll {
        let steps = Cell::new(0);
        let step = || steps.set(steps.get() + 1);
        let future = async {
            step();
            yield_now().await;
            step();
            yield_now().await;
            step();
            "done"
        };
        assert_eq!(block_on(cancel_after_polls(future, polls)), expected);
        assert_eq!(steps.get(), polled, "{polls} polls");
    }
}
