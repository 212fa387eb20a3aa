//! Many callers, a random mix.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use crm_chat_domain::{StoreError, StoreErrorKind};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use crate::faults::{Call, Tap, Tapped};
use crate::harness::perform_through;
use crate::history::{Recorder, check};
use crate::model::{Operation, Script};
use crate::strategies::script;
use crate::{Harness, Lab, Subject};

const CALLERS: usize = 3;

/// R10: many callers, a random mix: the outcomes have a serial order that the model accepts.
///
/// The environment variable `PROPTEST_CASES` sets the number of mixes.
pub fn r10_many_callers<H: Harness>(lab: &Lab<H>) {
    let mixes = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => 24,
    };
    let mut runner = TestRunner::default();
    for _ in 0..mixes {
        mix(lab, &any_script(&mut runner));
    }
}

fn any_script(runner: &mut TestRunner) -> Script {
    let tree = script(CALLERS..=5 * CALLERS).new_tree(runner);
    tree.expect("no script is rejected").current()
}

/// Deals the operations out to callers who perform them at once.
fn mix<H: Harness>(lab: &Lab<H>, script: &Script) {
    let subject = &lab.open(&script.world);
    let recorder = &Recorder::new();
    thread::scope(|scope| {
        let callers = (0..CALLERS).map(|first| {
            let share = script.operations.iter().skip(first).step_by(CALLERS);
            scope.spawn(move || perform_share(subject, recorder, share))
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let history = recorder.history();
    if let Err(reason) = check(&script.world, &history, &subject.dump()) {
        let callers = format!("{CALLERS} callers performed\n{history}");
        subject.fail("a serial order", format!("{reason}\n\n{callers}"));
    }
}

fn perform_share<'o, H: Harness>(
    subject: &Subject<'_, H>,
    recorder: &Recorder,
    share: impl Iterator<Item = &'o Operation>,
) {
    let (harness, handle) = (subject.harness(), subject.connect());
    let store = Tapped::new(subject.connect(), Dawdling);
    for operation in share {
        let work = perform_through(harness, &handle, &store, operation);
        let result = subject.block_on(recorder.record(operation.clone(), work));
        if let Err(error) = result.as_ref() {
            subject.same("the failure", &StoreErrorKind::Conflict, &error.kind());
        }
    }
}

/// Takes its time before every call, so that callers meet.
struct Dawdling;

impl Tap for Dawdling {
    type Session = ();

    async fn before(&self, (): &mut (), _: &Call) -> Result<(), StoreError> {
        thread::sleep(Duration::from_micros(50));
        Ok(())
    }
}
