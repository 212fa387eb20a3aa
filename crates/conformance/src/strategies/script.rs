//! Worlds with sequences of operations.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use proptest_state_machine::{ReferenceStateMachine, Sequential};

use crate::model::{Operation, Script};
use crate::state_machine::{ModelMachine, ModelState};

type Sequences =
    Sequential<ModelState, Operation, BoxedStrategy<ModelState>, BoxedStrategy<Operation>>;

/// A world and a number of operations, at least one, each drawn relative to what those before it left.
///
/// It shrinks by leaving operations out, then by simplifying each, then the world.
///
/// # Panics
/// If no operation is allowed.
#[must_use]
pub fn script(operations: RangeInclusive<usize>) -> Scripts {
    assert!(*operations.start() > 0, "a script must have an operation");
    Scripts(ModelMachine::sequential_strategy(operations))
}

/// The strategy of [`script`].
#[derive(Debug)]
pub struct Scripts(Sequences);

impl Strategy for Scripts {
    type Tree = ScriptTree;
    type Value = Script;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        self.0.new_tree(runner).map(ScriptTree)
    }
}

/// A script that can be shrunk.
pub struct ScriptTree(<Sequences as Strategy>::Tree);

impl std::fmt::Debug for ScriptTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ScriptTree").field(&self.current()).finish()
    }
}

impl ValueTree for ScriptTree {
    type Value = Script;

    fn current(&self) -> Script {
        let (state, operations, _) = self.0.current();
        Script { world: state.model().world().clone(), operations }
    }

    fn simplify(&mut self) -> bool {
        if let (_, operations, Some(seen)) = self.0.current() {
            // Unless it is told that they were all seen by the test, the first step leaves the unseen out for good.
            seen.store(operations.len(), Ordering::SeqCst);
        }
        self.0.simplify()
    }

    fn complicate(&mut self) -> bool {
        self.0.complicate()
    }
}
