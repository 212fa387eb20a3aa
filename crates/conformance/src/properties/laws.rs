//! The laws behind the properties, each for one script.

use std::fmt;

use crm_chat_domain::{Answer, Outcome, RemovalRecord, Snapshot, StoreError, StoreErrorKind};

use crate::doubles::{Fault, Faulty};
use crate::model::{Model, Operation, Response, Script, difference, literal_difference};
use crate::{Harness, perform, perform_through};

/// A violation of a law: its location in a script, and a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}\n{description}")]
pub struct Violation {
    location: String,
    description: String,
}

/// A run of a script on a new store. Two handles take turns, so that each must see what the other
/// has committed.
struct Replay<'a, H: Harness> {
    harness: &'a H,
    script: &'a Script,
    handles: [H::Store; 2],
    /// Declared last and so dropped last: it cleans up after the handles are closed.
    fixture: H::Fixture,
}

impl<'a, H: Harness> Replay<'a, H> {
    fn new(harness: &'a H, script: &'a Script) -> Self {
        let fixture = harness.block_on(harness.set_up(&script.world));
        let connect = || harness.block_on(harness.connect(&fixture));
        Self { harness, script, handles: [connect(), connect()], fixture }
    }

    fn handle(&self, turn: usize) -> &H::Store {
        &self.handles[turn % 2]
    }

    fn dump(&self, turn: usize) -> Snapshot {
        self.harness.block_on(self.harness.dump(self.handle(turn)))
    }

    fn perform(&self, turn: usize, operation: &Operation) -> Result<Response, Violation> {
        let handle = self.handle(turn);
        let response = perform(self.harness, handle, operation);
        self.unless_failed(turn, self.harness.block_on(response))
    }

    /// Turns a storage failure into a violation.
    fn unless_failed<T>(&self, turn: usize, result: Result<T, StoreError>) -> Result<T, Violation> {
        result.map_err(|error| {
            self.violation(turn, format_args!("the store failed: {}", error.report()))
        })
    }

    fn violation(&self, turn: usize, description: impl fmt::Display) -> Violation {
        let operation = self.script.operations.get(turn);
        Violation {
            location: operation.map_or_else(
                || "before any operation".to_owned(),
                |operation| format!("operation {}: {operation}", turn + 1),
            ),
            description: description.to_string(),
        }
    }

    /// Checks the current state of the store.
    fn check_state(&self, turn: usize, expected: &Snapshot) -> Result<(), Violation> {
        match difference(expected, &self.dump(turn + 1)) {
            None => Ok(()),
            Some(difference) => {
                Err(self
                    .violation(turn, format_args!("the store is in another state\n{difference}")))
            }
        }
    }
}

/// Runs a script on a new store and on the model.
///
/// # Errors
/// [`Violation`] if the responses or the final states differ, or a new record has no time.
pub fn matches_model<H: Harness>(harness: &H, script: &Script) -> Result<(), Violation> {
    let replay = Replay::new(harness, script);
    let mut model = Model::new(script.world.clone());
    for (turn, operation) in script.operations.iter().enumerate() {
        let actual = replay.perform(turn, operation)?;
        let expected = model.perform(operation);
        if !expected.matches(&actual) {
            return Err(
                replay.violation(turn, mismatch("the model", &expected, "the store", &actual))
            );
        }
    }
    let last = script.operations.len().saturating_sub(1);
    replay.check_state(last, model.world())?;
    check_times(&script.world.removals, &replay.dump(last).removals)
        .map_err(|problem| replay.violation(last, problem))
}

fn mismatch(one: &str, expected: &Response, other: &str, actual: &Response) -> String {
    match expected.difference(actual) {
        Some(difference) => format!("{other} differs from {one}\n{difference}"),
        None => format!("{one} responds {expected:?}\n{other} responds {actual:?}"),
    }
}

/// Checks that loaded records kept their times, or the absence of one, and that new ones have one.
fn check_times(loaded: &[RemovalRecord], actual: &[RemovalRecord]) -> Result<(), String> {
    for (index, record) in actual.iter().enumerate() {
        match loaded.get(index) {
            Some(before) if before.recorded_at != record.recorded_at => {
                return Err(format!(
                    "the time of a record was changed\nbefore {before:?}\nactual {record:?}"
                ));
            }
            None if record.recorded_at.is_none() => {
                return Err(format!("a new record has no time\nactual {record:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Runs a script in which every removal is explained first, on another handle.
///
/// # Errors
/// [`Violation`] if the answer is not as explained, or the explanation changed something.
pub fn explanation_predicts_removal<H: Harness>(
    harness: &H,
    script: &Script,
) -> Result<(), Violation> {
    let replay = Replay::new(harness, script);
    for (turn, operation) in script.operations.iter().enumerate() {
        let (Operation::Remove(call) | Operation::Explain(call)) = operation else {
            replay.perform(turn, operation)?;
            continue;
        };
        // Explain on the other handle: the answer must not depend on the handle.
        let before = replay.dump(turn);
        let explained = replay.perform(turn + 1, &Operation::Explain(call.clone()))?;
        replay.check_state(turn, &before)?;
        let answer = replay.perform(turn, &Operation::Remove(call.clone()))?;
        if !predicts(&explained, &answer) {
            let description = format!("explained as {explained:?}\nand responded {answer:?}");
            return Err(replay.violation(turn, description));
        }
    }
    Ok(())
}

fn predicts(explained: &Response, answer: &Response) -> bool {
    match (explained, answer) {
        (Response::Explained(explained), Response::Answer(answer)) => {
            explained.answer() == Some(*answer)
        }
        _ => false,
    }
}

/// Loads a world into a new store and dumps it.
///
/// # Errors
/// [`Violation`] if the dump is not that world, [sorted](Snapshot::sort).
pub fn keeps_loaded_world<H: Harness>(harness: &H, world: &Snapshot) -> Result<(), Violation> {
    let script = Script { world: world.clone(), operations: Vec::new() };
    let replay = Replay::new(harness, &script);
    let mut expected = world.clone();
    expected.sort();
    match literal_difference(&expected, &replay.dump(0)) {
        None => Ok(()),
        Some(difference) => {
            let description = format_args!("the dump is not what was loaded\n{difference}");
            Err(replay.violation(0, description))
        }
    }
}

/// Runs a script and checks that removals without effect change nothing: those that are answered
/// so, and those whose storage fails, at each port call in turn until the removal is answered.
///
/// # Errors
/// [`Violation`] if such a removal changed something.
pub fn refusals_change_nothing<H: Harness>(harness: &H, script: &Script) -> Result<(), Violation> {
    let replay = Replay::new(harness, script);
    for (turn, operation) in script.operations.iter().enumerate() {
        let before = replay.dump(turn);
        let changes_nothing = match replay.perform_with_failures(turn, operation, &before)? {
            Response::Answer(answer) => !is_removed(&answer),
            Response::Answers(answers) => !answers.iter().any(is_removed),
            Response::Edited(result) => result.is_err(),
            Response::Explained(_) | Response::Dumped(_) => true,
        };
        if changes_nothing {
            replay.check_state(turn, &before)?;
        }
    }
    Ok(())
}

fn is_removed(answer: &Answer) -> bool {
    matches!(answer, Ok(Outcome::Removed(_)))
}

impl<H: Harness> Replay<'_, H> {
    /// Repeats an operation with its first port call failing, then its second and so on, until no
    /// call is left to fail. Returns the response.
    fn perform_with_failures(
        &self,
        turn: usize,
        operation: &Operation,
        before: &Snapshot,
    ) -> Result<Response, Violation> {
        let connect = || self.harness.block_on(self.harness.connect(&self.fixture));
        // The number of calls depends on the request, so count up until the fault is not reached.
        let mut n = 1;
        loop {
            let store = Faulty::new(connect());
            store.inject(n, Fault::Before(StoreErrorKind::Unavailable));
            let response = perform_through(self.harness, self.handle(turn), &store, operation);
            let result = self.harness.block_on(response);
            if result.is_ok() || store.calls().len() < n {
                return self.unless_failed(turn, result);
            }
            self.check_state(turn, before)?;
            n += 1;
        }
    }
}

/// Runs a script on a new store of each of two backends.
///
/// # Errors
/// [`Violation`] if the responses or the final states differ.
pub fn backends_agree<A: Harness, B: Harness>(
    reference: &A,
    other: &B,
    script: &Script,
) -> Result<(), Violation> {
    let (reference, other) = (Replay::new(reference, script), Replay::new(other, script));
    for (turn, operation) in script.operations.iter().enumerate() {
        let mut expected = reference.perform(turn, operation)?;
        if let Response::Dumped(world) = &mut expected {
            forget_times(world);
        }
        let actual = other.perform(turn, operation)?;
        if !expected.matches(&actual) {
            return Err(reference
                .violation(turn, mismatch("the reference", &expected, "the other", &actual)));
        }
    }
    let last = script.operations.len().saturating_sub(1);
    let mut expected = reference.dump(last);
    forget_times(&mut expected);
    other.check_state(last, &expected)
}

/// Removes the times of all records: two backends do not read the same clock.
fn forget_times(world: &mut Snapshot) {
    for record in &mut world.removals {
        record.recorded_at = None;
    }
}
