//! Strategies for scripts.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use proptest_state_machine::{ReferenceStateMachine, Sequential};

use super::machine::{ModelMachine, ModelState};
use crate::model::{Operation, Script};

type Sequences =
    Sequential<ModelState, Operation, BoxedStrategy<ModelState>, BoxedStrategy<Operation>>;

/// Generates a world and a number of operations, at least one, each drawn relative to the world
/// that the earlier ones have produced.
///
/// It shrinks by removing operations, then by simplifying each, then the world.
///
/// # Panics
/// If the range includes zero.
#[must_use]
pub fn arb_script(operations: RangeInclusive<usize>) -> ArbScript {
    assert!(*operations.start() > 0, "a script has at least one operation");
    ArbScript(ModelMachine::sequential_strategy(operations))
}

/// The strategy of [`arb_script`].
#[derive(Debug)]
pub struct ArbScript(Sequences);

impl Strategy for ArbScript {
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
            // The first step drops all operations that the test has not reached. Here the whole
            // script is the value, so mark every operation as reached.
            seen.store(operations.len(), Ordering::SeqCst);
        }
        self.0.simplify()
    }

    fn complicate(&mut self) -> bool {
        self.0.complicate()
    }
}
