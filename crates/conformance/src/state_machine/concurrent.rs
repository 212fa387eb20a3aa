//! Many callers at once.

use std::error::Error;
use std::sync::Barrier;
use std::thread;

use crm_chat_domain::StoreErrorKind;

use super::perform::perform;
use crate::Harness;
use crate::history::{Ending, History, Recorder, check};
use crate::model::{Operation, Script};

const CALLERS: usize = 4;

/// Lets four callers share the operations of a script, each on a thread and a handle of its own, and looks for a
/// [serial order](crate::history::check) of what they were answered.
///
/// An operation that fails with *conflict*, *unavailable* or *outcome unknown* is a part of the history.
///
/// # Errors
/// What has no order, or the failure of another kind.
pub fn has_a_serial_order<H: Harness>(
    harness: &H,
    script: &Script,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let place = harness.block_on(harness.create(&script.world));
    let (recorder, start) = (Recorder::new(), Barrier::new(CALLERS));
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let operations = script.operations.iter().skip(caller).step_by(CALLERS);
            let (place, recorder, start) = (&place, &recorder, &start);
            scope.spawn(move || {
                let store = harness.block_on(harness.connect(place));
                start.wait();
                for operation in operations {
                    call(harness, &store, recorder, operation);
                }
            });
        }
    });

    let history = recorder.history();
    check_failures(&history)?;
    let observer = harness.block_on(harness.connect(&place));
    let last = harness.block_on(harness.dump(&observer));
    check(&script.world, &history, &last)?;
    Ok(())
}

fn call<H: Harness>(harness: &H, store: &H::Store, recorder: &Recorder, operation: &Operation) {
    let work = perform(harness, store, operation);
    // How it ended is recorded.
    let _ = harness.block_on(recorder.record(operation.clone(), work));
}

fn check_failures(history: &History) -> Result<(), String> {
    let wrong = history.events().iter().find(|event| {
        matches!(event.ending, Ending::Failed(kind)
            if !matches!(kind, StoreErrorKind::Conflict | StoreErrorKind::Unavailable | StoreErrorKind::OutcomeUnknown))
    });
    wrong.map_or(Ok(()), |event| Err(format!("the store failed\n{event}")))
}
