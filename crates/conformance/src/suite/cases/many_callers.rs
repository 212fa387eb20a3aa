//! Many concurrent callers with a random mix of operations.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use crm_chat_domain::{StoreError, StoreErrorKind};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use crate::doubles::{Intercepted, Interceptor, PortCall};
use crate::generators::arb_script;
use crate::linearizability::{Recorder, check};
use crate::model::{Operation, Script};
use crate::suite::harness::Harness;
use crate::suite::perform::perform_through;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

const CALLERS: usize = 3;

/// R10: the outcomes of a random mix of operations by many callers have a serial order that the
/// model accepts.
///
/// The environment variable `PROPTEST_CASES` sets the number of mixes. The timing of threads is
/// not repeatable, so a failure reports the whole history instead of a seed.
pub fn r10_many_callers_are_linearizable<H: Harness>(cx: &TestContext<H>) {
    // Fewer than proptest draws by default: each mix opens a store and runs threads.
    let mixes = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => 24,
    };
    let mut runner = TestRunner::default();
    for _ in 0..mixes {
        assert_linearizable(cx, &draw_script(&mut runner));
    }
}

fn draw_script(runner: &mut TestRunner) -> Script {
    let tree = arb_script(CALLERS..=5 * CALLERS).new_tree(runner);
    tree.expect("the strategy rejects nothing").current()
}

/// Distributes the operations over callers that perform them concurrently.
fn assert_linearizable<H: Harness>(cx: &TestContext<H>, script: &Script) {
    let test_store = &cx.open(&script.world);
    let recorder = &Recorder::new();
    // Each caller takes every n-th operation, so that related ones end up with different callers.
    thread::scope(|scope| {
        let callers = (0..CALLERS).map(|first| {
            let share = script.operations.iter().skip(first).step_by(CALLERS);
            scope.spawn(move || perform_share(test_store, recorder, share))
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let history = recorder.history();
    if let Err(error) = check(&script.world, &history, &test_store.dump()) {
        let callers = format!("{CALLERS} callers performed\n{history}");
        test_store.fail("a serial order", format!("{error}\n\n{callers}"));
    }
}

fn perform_share<'o, H: Harness>(
    test_store: &TestStore<'_, H>,
    recorder: &Recorder,
    share: impl Iterator<Item = &'o Operation>,
) {
    let (harness, handle) = (test_store.harness(), test_store.connect());
    let store = Intercepted::new(test_store.connect(), Delay);
    for operation in share {
        let work = perform_through(harness, &handle, &store, operation);
        let result = test_store.block_on(recorder.record(operation.clone(), work));
        // A conflict that outlasts all retries is legitimate. Any other failure is not.
        if let Err(error) = result.as_ref() {
            test_store.assert_eq("the failure", &StoreErrorKind::Conflict, &error.kind());
        }
    }
}

/// Delays every port call. Without it, a fast store completes a transaction before another caller
/// begins, and transactions rarely overlap.
struct Delay;

impl Interceptor for Delay {
    type Session = ();

    async fn before(&self, (): &mut (), _: &PortCall) -> Result<(), StoreError> {
        thread::sleep(Duration::from_micros(50));
        Ok(())
    }
}
