//! Properties of a backend over random worlds and sequences, checked against the [model](crate::model).
//!
//! [`property_tests!`](crate::property_tests) makes a test of each:
//!
//! ```
//! # use crm_chat_conformance::{Harness, by_own_methods};
//! # use crm_chat_domain::Snapshot;
//! # use crm_chat_memory::Memory;
//! # struct InMemory;
//! # impl Harness for InMemory {
//! #     type Place = Memory;
//! #     by_own_methods!(Memory);
//! #     async fn create(&self, world: &Snapshot) -> Memory {
//! #         let memory = Memory::new();
//! #         memory.load(world).await.unwrap();
//! #         memory
//! #     }
//! #     async fn connect(&self, place: &Memory) -> Memory {
//! #         place.clone()
//! #     }
//! # }
//! crm_chat_conformance::property_tests!(InMemory);
//! # fn main() {}
//! ```
//!
//! The environment variable `PROPTEST_CASES` sets how many cases each test draws; the other variables of [mod@proptest] are
//! heeded too. A failure prints the smallest [`Script`] that shows it, which [`replay`] plays again, and the
//! `PROPTEST_RNG_SEED` that draws the same cases.
//!
//! A law of your own runs by [`check_law`], like those here; [`perform`](crate::perform) does to a store what
//! [`Model::perform`] does to the model. [`ModelMachine`] is the reference of a [`proptest_state_machine`].

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::Harness;
use crate::model::{Model, Operation, Response, Script};
use crate::strategies;

mod laws;
mod minimise;
mod run;
#[cfg(test)]
mod tests;

pub use laws::{
    Disagreement, agree_on, explains_what_it_does, keeps_what_it_loads, obeys_the_model,
    refusals_change_nothing,
};
pub use run::check_law;

/// The model as the reference of a state machine test: it starts in any world, and each transition is an operation
/// drawn relative to the world that those before it left.
///
/// ```
/// use crm_chat_conformance::model::Operation;
/// use crm_chat_conformance::state_machine::{ModelMachine, ModelState};
/// use crm_chat_conformance::{Harness, by_own_methods, perform};
/// use crm_chat_domain::Snapshot;
/// use crm_chat_memory::Memory;
/// use futures_lite::future::block_on;
/// use proptest_state_machine::{StateMachineTest, prop_state_machine};
/// # struct InMemory;
/// # impl Harness for InMemory {
/// #     type Place = Memory;
/// #     by_own_methods!(Memory);
/// #     async fn create(&self, world: &Snapshot) -> Memory {
/// #         let memory = Memory::new();
/// #         memory.load(world).await.unwrap();
/// #         memory
/// #     }
/// #     async fn connect(&self, place: &Memory) -> Memory {
/// #         place.clone()
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
///         block_on(InMemory.create(state.model().world()))
///     }
///
///     // The state is the one after the operation, and has what must be responded to it.
///     fn apply(memory: Memory, state: &ModelState, operation: Operation) -> Memory {
///         let found = block_on(perform(&InMemory, &memory, &operation)).unwrap();
///         let expected = state.response().unwrap();
///         assert!(expected.admits(&found), "{operation}: expected {expected:?}, found {found:?}");
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

/// Where a [`ModelMachine`] stands: the model, and what it responded to the last operation.
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

    /// Returns what a store must respond to the last operation; `None` before the first.
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
        strategies::world().prop_map(state).boxed()
    }

    fn transitions(state: &ModelState) -> BoxedStrategy<Operation> {
        strategies::operation(state.model.world()).boxed()
    }

    fn apply(mut state: ModelState, transition: &Operation) -> ModelState {
        state.response = Some(state.model.perform(transition));
        state
    }
}

/// Makes one `#[test]` of each property in this module, for the backend that a [`Harness`] gets at. Each evaluates the
/// expression for itself.
#[macro_export]
macro_rules! property_tests {
    ($harness:expr) => {
        $crate::property_tests! { ($harness)
            answers_equal_the_models
            explanations_predict_removals
            a_dump_is_what_was_loaded
            what_is_not_removed_changes_nothing
        }
    };
    (($harness:expr) $($law:ident)*) => {
        $(
            #[test]
            fn $law() {
                $crate::state_machine::$law(&$harness);
            }
        )*
    };
}

/// The most operations in a drawn sequence.
const LENGTH: usize = 12;

/// Checks that a backend answers as the model does, and ends in the same snapshot, over random sequences.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn answers_equal_the_models<H: Harness>(harness: &H) {
    check_law("answers_equal_the_models", strategies::script(1..=LENGTH), |script| {
        obeys_the_model(harness, script)
    });
}

/// Checks that an explanation agrees with the removal that follows: its first failing rule is the refusal, its predicted
/// change is the change, and it changes nothing.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn explanations_predict_removals<H: Harness>(harness: &H) {
    check_law("explanations_predict_removals", strategies::script(1..=4), |script| {
        explains_what_it_does(harness, script)
    });
}

/// Checks that a dump of what was loaded equals it, sorted, with the times that the records bear.
///
/// # Panics
/// If it does not, with the smallest world that shows it.
#[track_caller]
pub fn a_dump_is_what_was_loaded<H: Harness>(harness: &H) {
    let worlds = strategies::world().prop_map(|world| Script { world, operations: Vec::new() });
    check_law("a_dump_is_what_was_loaded", worlds, |script| {
        keeps_what_it_loads(harness, &script.world)
    });
}

/// Checks that a removal that is refused, or finds no chat or the user absent, and one that fails, leave everything as it
/// was.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn what_is_not_removed_changes_nothing<H: Harness>(harness: &H) {
    check_law("what_is_not_removed_changes_nothing", strategies::script(1..=4), |script| {
        refusals_change_nothing(harness, script)
    });
}

/// Checks that two backends answer alike and end in the same snapshot, over random sequences.
///
/// # Panics
/// If they do not, with the smallest script that shows it.
#[track_caller]
pub fn two_backends_agree<A: Harness, B: Harness>(one: &A, other: &B) {
    check_law("two_backends_agree", strategies::script(1..=LENGTH), |script| {
        agree_on(one, other, script)
    });
}

/// Plays a [`Script`] on a new store and on the model: a counterexample that a failure printed, kept as a test.
///
/// # Panics
/// If the store does not obey the model, or the text is no script.
#[track_caller]
pub fn replay<H: Harness>(harness: &H, script: &str) {
    let script: Script = match script.parse() {
        Ok(script) => script,
        Err(error) => panic!("this is no script: {error}"),
    };
    if let Err(disagreement) = obeys_the_model(harness, &script) {
        panic!("{disagreement}");
    }
}
