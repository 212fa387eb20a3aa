//! The properties, each of one script.

use std::fmt;

use crm_chat_domain::{Answer, Outcome, RemovalRecord, Snapshot, StoreError, StoreErrorKind};

use crate::Harness;
use crate::faults::{Fault, Faulty};
use crate::harness::{perform, perform_through};
use crate::model::{Model, Operation, Response, Script, difference, literal_difference};

/// What a backend did that it should not, and where in a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}\n{account}")]
pub struct Disagreement {
    place: String,
    account: String,
}

/// A new store with two handles, which take turns, so that one must see what the other did.
struct Stage<'a, H: Harness> {
    harness: &'a H,
    script: &'a Script,
    handles: [H::Store; 2],
    /// Dropped last.
    place: H::Place,
}

impl<'a, H: Harness> Stage<'a, H> {
    fn new(harness: &'a H, script: &'a Script) -> Self {
        let place = harness.block_on(harness.create(&script.world));
        let connect = || harness.block_on(harness.connect(&place));
        Self { harness, script, handles: [connect(), connect()], place }
    }

    fn handle(&self, turn: usize) -> &H::Store {
        &self.handles[turn % 2]
    }

    fn dump(&self, turn: usize) -> Snapshot {
        self.harness.block_on(self.harness.dump(self.handle(turn)))
    }

    fn perform(&self, turn: usize, operation: &Operation) -> Result<Response, Disagreement> {
        let handle = self.handle(turn);
        let response = perform(self.harness, handle, operation);
        self.works(turn, self.harness.block_on(response))
    }

    /// Passes on what came of an operation if the storage did not fail.
    fn works<T>(&self, turn: usize, result: Result<T, StoreError>) -> Result<T, Disagreement> {
        result
            .map_err(|error| self.wrong(turn, format_args!("the store failed: {}", error.report())))
    }

    fn wrong(&self, turn: usize, account: impl fmt::Display) -> Disagreement {
        let operation = self.script.operations.get(turn);
        Disagreement {
            place: operation.map_or_else(
                || "before any operation".to_owned(),
                |operation| format!("operation {}: {operation}", turn + 1),
            ),
            account: account.to_string(),
        }
    }

    /// Checks that what is held now is what should be.
    fn holds(&self, turn: usize, expected: &Snapshot) -> Result<(), Disagreement> {
        match difference(expected, &self.dump(turn + 1)) {
            None => Ok(()),
            Some(difference) => {
                Err(self.wrong(turn, format_args!("the store holds something else\n{difference}")))
            }
        }
    }
}

/// Plays a script on a new store and on the model.
///
/// # Errors
/// [`Disagreement`] if the store responds otherwise, or ends otherwise, or a new record bears no time.
pub fn obeys_the_model<H: Harness>(harness: &H, script: &Script) -> Result<(), Disagreement> {
    let stage = Stage::new(harness, script);
    let mut model = Model::new(script.world.clone());
    for (turn, operation) in script.operations.iter().enumerate() {
        let found = stage.perform(turn, operation)?;
        let expected = model.perform(operation);
        if !expected.admits(&found) {
            return Err(stage.wrong(turn, mismatch("the model", &expected, "the store", &found)));
        }
    }
    let last = script.operations.len().saturating_sub(1);
    stage.holds(last, model.world())?;
    check_times(&script.world.removals, &stage.dump(last).removals)
        .map_err(|problem| stage.wrong(last, problem))
}

fn mismatch(one: &str, expected: &Response, other: &str, found: &Response) -> String {
    match expected.difference(found) {
        Some(difference) => format!("{other} holds something else than {one}\n{difference}"),
        None => format!("{one} responds {expected:?}\n{other} responds {found:?}"),
    }
}

/// Checks that loaded records kept their time, or their lack of one, and that new ones bear one.
fn check_times(loaded: &[RemovalRecord], found: &[RemovalRecord]) -> Result<(), String> {
    for (place, record) in found.iter().enumerate() {
        match loaded.get(place) {
            Some(before) if before.recorded_at != record.recorded_at => {
                return Err(format!(
                    "the time of a record was changed\nbefore {before:?}\nfound  {record:?}"
                ));
            }
            None if record.recorded_at.is_none() => {
                return Err(format!("a new record bears no time\nfound  {record:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Plays a script in which every removal is explained first, on another handle.
///
/// # Errors
/// [`Disagreement`] if the removal is answered otherwise than explained, or the explanation changed something.
pub fn explains_what_it_does<H: Harness>(harness: &H, script: &Script) -> Result<(), Disagreement> {
    let stage = Stage::new(harness, script);
    for (turn, operation) in script.operations.iter().enumerate() {
        let (Operation::Remove(call) | Operation::Explain(call)) = operation else {
            stage.perform(turn, operation)?;
            continue;
        };
        let before = stage.dump(turn);
        let explained = stage.perform(turn + 1, &Operation::Explain(call.clone()))?;
        stage.holds(turn, &before)?;
        let answer = stage.perform(turn, &Operation::Remove(call.clone()))?;
        if !predicts(&explained, &answer) {
            let account = format!("explained as {explained:?}\nand responded {answer:?}");
            return Err(stage.wrong(turn, account));
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
/// [`Disagreement`] if the dump is not that world, [sorted](Snapshot::sort).
pub fn keeps_what_it_loads<H: Harness>(harness: &H, world: &Snapshot) -> Result<(), Disagreement> {
    let script = Script { world: world.clone(), operations: Vec::new() };
    let stage = Stage::new(harness, &script);
    let mut expected = world.clone();
    expected.sort();
    match literal_difference(&expected, &stage.dump(0)) {
        None => Ok(()),
        Some(difference) => {
            let account = format_args!("the dump is not what was loaded\n{difference}");
            Err(stage.wrong(0, account))
        }
    }
}

/// Plays a script, and looks at what every removal that removes nobody leaves behind: one that is answered so, and one
/// whose storage fails, at each of its calls in turn, until it is answered.
///
/// # Errors
/// [`Disagreement`] if such a removal changed something.
pub fn refusals_change_nothing<H: Harness>(
    harness: &H,
    script: &Script,
) -> Result<(), Disagreement> {
    let stage = Stage::new(harness, script);
    for (turn, operation) in script.operations.iter().enumerate() {
        let before = stage.dump(turn);
        let changes_nothing = match stage.perform_at_last(turn, operation, &before)? {
            Response::Answer(answer) => !is_removed(&answer),
            Response::Answers(answers) => !answers.iter().any(is_removed),
            Response::Edited(result) => result.is_err(),
            Response::Explained(_) | Response::Dumped(_) => true,
        };
        if changes_nothing {
            stage.holds(turn, &before)?;
        }
    }
    Ok(())
}

fn is_removed(answer: &Answer) -> bool {
    matches!(answer, Ok(Outcome::Removed(_)))
}

impl<H: Harness> Stage<'_, H> {
    /// Repeats an operation of which the first call fails, then the second and so on, until there is no such call.
    fn perform_at_last(
        &self,
        turn: usize,
        operation: &Operation,
        before: &Snapshot,
    ) -> Result<Response, Disagreement> {
        let connect = || self.harness.block_on(self.harness.connect(&self.place));
        let mut n = 1;
        loop {
            let store = Faulty::new(connect());
            store.inject(n, Fault::Before(StoreErrorKind::Unavailable));
            let response = perform_through(self.harness, self.handle(turn), &store, operation);
            let result = self.harness.block_on(response);
            if result.is_ok() || store.calls().len() < n {
                return self.works(turn, result);
            }
            self.holds(turn, before)?;
            n += 1;
        }
    }
}

/// Plays a script on a new store of each of two backends.
///
/// # Errors
/// [`Disagreement`] if they respond differently or end differently.
pub fn agree_on<A: Harness, B: Harness>(
    one: &A,
    other: &B,
    script: &Script,
) -> Result<(), Disagreement> {
    let (one, other) = (Stage::new(one, script), Stage::new(other, script));
    for (turn, operation) in script.operations.iter().enumerate() {
        let mut expected = one.perform(turn, operation)?;
        if let Response::Dumped(world) = &mut expected {
            forget_times(world);
        }
        let found = other.perform(turn, operation)?;
        if !expected.admits(&found) {
            return Err(one.wrong(turn, mismatch("one", &expected, "the other", &found)));
        }
    }
    let last = script.operations.len().saturating_sub(1);
    let mut expected = one.dump(last);
    forget_times(&mut expected);
    other.holds(last, &expected)
}

/// Two backends do not read the same clock.
fn forget_times(world: &mut Snapshot) {
    for record in &mut world.removals {
        record.recorded_at = None;
    }
}
