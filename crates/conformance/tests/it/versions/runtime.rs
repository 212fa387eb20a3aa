//! A substitute for a runtime: panics if the store is called, or a transaction dropped, outside it.

use std::cell::Cell;

thread_local! {
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a closure inside the runtime.
pub(crate) fn enter<R>(run: impl FnOnce() -> R) -> R {
    struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            ENTERED.set(false);
        }
    }

    assert!(!ENTERED.replace(true), "the runtime was entered twice on one thread");
    let _leave = Leave;
    run()
}

#[track_caller]
pub(crate) fn assert_entered() {
    assert!(ENTERED.get() || std::thread::panicking(), "called outside the runtime");
}
