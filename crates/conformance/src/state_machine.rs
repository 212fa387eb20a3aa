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
//! For a test of your own, [`ModelMachine`] is the reference of a [`proptest_state_machine`], and [`perform`](crate::perform) does to a
//! store what [`Model::perform`] does to the model.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::Harness;
use crate::model::{Model, Operation, Script};
use crate::strategies;

mod laws;
mod run;
#[cfg(test)]
mod tests;

pub use laws::{
    Disagreement, agree_on, explains_what_it_does, keeps_what_it_loads, obeys_the_model,
    refusals_change_nothing,
};

/// The model as the reference of a state machine test: it starts in any world, and each transition is an operation
/// drawn relative to the world that those before it left.
#[derive(Clone, Copy, Debug)]
pub struct ModelMachine;

impl ReferenceStateMachine for ModelMachine {
    type State = Model;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Model> {
        strategies::world().prop_map(Model::new).boxed()
    }

    fn transitions(state: &Model) -> BoxedStrategy<Operation> {
        strategies::operation(state.world()).boxed()
    }

    fn apply(mut state: Model, transition: &Operation) -> Model {
        state.perform(transition);
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
    run::check(
        "answers_equal_the_models",
        strategies::script(1..=LENGTH),
        |script| obeys_the_model(harness, script),
    );
}

/// Checks that an explanation agrees with the removal that follows: its first failing rule is the refusal, its predicted
/// change is the change, and it changes nothing.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn explanations_predict_removals<H: Harness>(harness: &H) {
    run::check(
        "explanations_predict_removals",
        strategies::script(1..=4),
        |script| explains_what_it_does(harness, script),
    );
}

/// Checks that a dump of what was loaded equals it, sorted, with the times that the records bear.
///
/// # Panics
/// If it does not, with the smallest world that shows it.
#[track_caller]
pub fn a_dump_is_what_was_loaded<H: Harness>(harness: &H) {
    let worlds = strategies::world().prop_map(|world| Script {
        world,
        operations: Vec::new(),
    });
    run::check("a_dump_is_what_was_loaded", worlds, |script| {
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
    run::check(
        "what_is_not_removed_changes_nothing",
        strategies::script(1..=4),
        |script| refusals_change_nothing(harness, script),
    );
}

/// Checks that two backends answer alike and end in the same snapshot, over random sequences.
///
/// # Panics
/// If they do not, with the smallest script that shows it.
#[track_caller]
pub fn two_backends_agree<A: Harness, B: Harness>(one: &A, other: &B) {
    run::check(
        "two_backends_agree",
        strategies::script(1..=LENGTH),
        |script| agree_on(one, other, script),
    );
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
