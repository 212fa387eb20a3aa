//! Properties of a backend over random worlds and sequences, checked against the
//! [model](crate::model).
//!
//! [`property_tests!`](crate::property_tests) generates a test for each:
//!
//! ```
//! # use crm_chat_conformance::{Harness, by_own_methods};
//! # use crm_chat_domain::Snapshot;
//! # use crm_chat_memory::Memory;
//! # struct InMemory;
//! # impl Harness for InMemory {
//! #     type Fixture = Memory;
//! #     by_own_methods!(Memory);
//! #     async fn set_up(&self, world: &Snapshot) -> Memory {
//! #         let memory = Memory::new();
//! #         memory.load(world).await.unwrap();
//! #         memory
//! #     }
//! #     async fn connect(&self, fixture: &Memory) -> Memory {
//! #         fixture.clone()
//! #     }
//! # }
//! crm_chat_conformance::property_tests!(InMemory);
//! # fn main() {}
//! ```
//!
//! The environment variable `PROPTEST_CASES` sets the number of cases of each test; the other
//! variables of [mod@proptest] apply too. A failure prints the smallest [`Script`] that shows it,
//! which [`replay`] runs again, and the `PROPTEST_RNG_SEED` that draws the same cases.
//!
//! [`check_law`] runs a law of your own in the same way. [`perform`](crate::perform) does to a
//! store what [`Model::perform`](crate::model::Model::perform) does to the model.

use proptest::prelude::*;

use crate::Harness;
use crate::generators::{arb_script, arb_world};
use crate::model::Script;

mod laws;
mod minimise;
mod runner;
#[cfg(test)]
mod tests;

pub use laws::{
    Violation, backends_agree, explanation_predicts_removal, keeps_loaded_world, matches_model,
    refusals_change_nothing,
};
pub use runner::check_law;

/// Generates a `#[test]` for each property in this module, for the backend behind a [`Harness`].
/// Each test evaluates the expression again.
#[macro_export]
macro_rules! property_tests {
    ($harness:expr) => {
        $crate::property_tests! { ($harness)
            answers_match_model
            explanations_predict_removals
            dump_equals_loaded_world
            refusals_and_failures_change_nothing
        }
    };
    (($harness:expr) $($law:ident)*) => {
        $(
            #[test]
            fn $law() {
                $crate::properties::$law(&$harness);
            }
        )*
    };
}

/// The maximal number of operations in a sequence.
const MAX_OPERATIONS: usize = 12;

/// Checks that a backend answers as the model does and ends in the same state, over random
/// sequences.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn answers_match_model<H: Harness>(harness: &H) {
    check_law("answers_match_model", arb_script(1..=MAX_OPERATIONS), |script| {
        matches_model(harness, script)
    });
}

/// Checks that an explanation agrees with the removal that follows: its first failing rule gives
/// the refusal, its predicted change is the one made, and it changes nothing.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn explanations_predict_removals<H: Harness>(harness: &H) {
    check_law("explanations_predict_removals", arb_script(1..=4), |script| {
        explanation_predicts_removal(harness, script)
    });
}

/// Checks that a dump equals the world that was loaded, sorted, with the times of its records.
///
/// # Panics
/// If it does not, with the smallest world that shows it.
#[track_caller]
pub fn dump_equals_loaded_world<H: Harness>(harness: &H) {
    let worlds = arb_world().prop_map(|world| Script { world, operations: Vec::new() });
    check_law("dump_equals_loaded_world", worlds, |script| {
        keeps_loaded_world(harness, &script.world)
    });
}

/// Checks that a removal changes nothing if it is refused, finds no chat or an absent user, or
/// fails.
///
/// # Panics
/// If it does not, with the smallest script that shows it.
#[track_caller]
pub fn refusals_and_failures_change_nothing<H: Harness>(harness: &H) {
    check_law("refusals_and_failures_change_nothing", arb_script(1..=4), |script| {
        refusals_change_nothing(harness, script)
    });
}

/// Checks that two backends give the same answers and end in the same state, over random sequences.
///
/// # Panics
/// If they do not, with the smallest script that shows it.
#[track_caller]
pub fn two_backends_agree<A: Harness, B: Harness>(reference: &A, other: &B) {
    check_law("two_backends_agree", arb_script(1..=MAX_OPERATIONS), |script| {
        backends_agree(reference, other, script)
    });
}

/// Runs a [`Script`], such as a printed counterexample that is kept as a test, on a new store and
/// on the model.
///
/// # Panics
/// If the store does not match the model, or the text is not a script.
#[track_caller]
pub fn replay<H: Harness>(harness: &H, script: &str) {
    let script: Script = match script.parse() {
        Ok(script) => script,
        Err(error) => panic!("not a valid script: {error}"),
    };
    if let Err(violation) = matches_model(harness, &script) {
        panic!("{violation}");
    }
}
