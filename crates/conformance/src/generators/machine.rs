//! The model as a reference state machine.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::operations::arb_operation;
use super::worlds::arb_world;
use crate::model::{Model, Operation, Response};

/// The model as the reference of a state machine test. It starts in any world, and each transition
/// is an operation drawn relative to the world that the earlier ones have produced.
///
/// ```
/// use crm_chat_conformance::model::Operation;
/// use crm_chat_conformance::generators::{ModelMachine, ModelState};
/// use crm_chat_conformance::{Harness, by_own_methods, perform};
/// use crm_chat_domain::Snapshot;
/// use crm_chat_memory::Memory;
/// use futures_lite::future::block_on;
/// use proptest_state_machine::{StateMachineTest, prop_state_machine};
/// # struct InMemory;
/// # impl Harness for InMemory {
/// #     type Fixture = Memory;
/// #     by_own_methods!(Memory);
/// #     async fn set_up(&self, world: &Snapshot) -> Memory {
/// #         let memory = Memory::new();
/// #         memory.load(world).await.unwrap();
/// #         memory
/// #     }
/// #     async fn connect(&self, fixture: &Memory) -> Memory {
/// #         fixture.clone()
/// #     }
/// # }
///
/// struct MemoryTest; // `InMemory` is the harness of the crate's front page
///
/// impl StateMachineTest for MemoryTest {
///     type SystemUnderTest = Memory;
///     type Reference = ModelMachine;
///
///     fn init_test(state: &ModelState) -> Memory {
///         block_on(InMemory.set_up(state.model().world()))
///     }
///
///     // `state` is the one after the operation, and has the expected response.
///     fn apply(memory: Memory, state: &ModelState, operation: Operation) -> Memory {
///         let actual = block_on(perform(&InMemory, &memory, &operation)).unwrap();
///         let expected = state.response().unwrap();
///         assert!(expected.matches(&actual), "{operation}: {expected:?} is not {actual:?}");
///         memory
///     }
/// }
///
/// prop_state_machine! {
///     # /*
///     #[test]
///     # */
///     fn memory_responds_as_the_model(sequential 1..12 => MemoryTest);
/// }
/// # memory_responds_as_the_model();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ModelMachine;

/// The state of a [`ModelMachine`]: the model, and its response to the last operation.
#[derive(Clone, Debug)]
pub struct ModelState {
    model: Model,
    response: Option<Response>,
}

impl ModelState {
    /// Returns the model.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Returns the response that a store must give to the last operation; `None` before the first.
    #[must_use]
    pub const fn response(&self) -> Option<&Response> {
        self.response.as_ref()
    }
}

impl ReferenceStateMachine for ModelMachine {
    type State = ModelState;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<ModelState> {
        let state = |world| ModelState { model: Model::new(world), response: None };
        arb_world().prop_map(state).boxed()
    }

    fn transitions(state: &ModelState) -> BoxedStrategy<Operation> {
        arb_operation(state.model.world()).boxed()
    }

    fn apply(mut state: ModelState, transition: &Operation) -> ModelState {
        state.response = Some(state.model.perform(transition));
        state
    }
}
