//! Futures that are dropped before their end.

use std::cell::Cell;

use crm_chat_conformance::{Abandoned, abandon_after};
use futures_lite::future::{block_on, yield_now};

#[test]
fn a_future_is_polled_as_often_as_said_and_then_dropped() {
    let ended_after_three = [
        (0, Abandoned::Dropped, 0),
        (1, Abandoned::Dropped, 1),
        (2, Abandoned::Dropped, 2),
        (3, Abandoned::Finished("done"), 3),
        (9, Abandoned::Finished("done"), 3),
    ];
    for (polls, expected, polled) in ended_after_three {
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
        assert_eq!(block_on(abandon_after(future, polls)), expected);
        assert_eq!(steps.get(), polled, "{polls} polls");
    }
}
