//! State machine tests of a backend against the model.

use crm_chat_domain::Snapshot;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::model::{Model, Operation};
use crate::strategies;

/// The model as the reference of a [`proptest_state_machine`] test: it starts in any world, and each transition is an
/// operation drawn relative to the world that those before it left.
#[derive(Clone, Copy, Debug)]
pub struct ModelMachine;

impl ReferenceStateMachine for ModelMachine {
    type State = Model;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Model> {
        strategies::world().prop_map(Model::new).boxed()
    }

    fn transitions(state: &Model) -> BoxedStrategy<Operation> {
        let world: &Snapshot = state.world();
        strategies::operation(world).boxed()
    }

    fn apply(mut state: Model, transition: &Operation) -> Model {
        state.perform(transition);
        state
    }
}
