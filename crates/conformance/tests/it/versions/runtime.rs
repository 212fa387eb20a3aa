//! What a backend bound to a runtime needs: that nobody calls it, or drops its transactions, outside.

use std::cell::Cell;

thread_local! {
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Runs something inside the runtime.
pub(crate) fn enter<R>(run: impl FnOnce() -> R) -> R {
    struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            ENTERED.set(false);
        }
    }

    assert!(!ENTERED.replace(true), "a runtime is not entered twice on one thread");
    let _leave = Leave;
    run()
}

#[track_caller]
pub(crate) fn assert_entered() {
    assert!(ENTERED.get() || std::thread::panicking(), "this needs the runtime");
}
