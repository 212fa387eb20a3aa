//! [mod@proptest] strategies: worlds, requests, single changes, and sequences of operations.
//!
//! All draw from a few shared [`Ids`], so that things meet: a chat has several members, an entity several chats, a user
//! rights here and none there. What is asked is drawn relative to a world, so that a good third of the removals
//! succeed and yet every rule decides now and then.
//!
//! All shrink to few things. A [`script()`], [`world_and_removal`] and [`world_and_call`] shrink better than what
//! `prop_flat_map` makes of a world; for a world and a single change take a script of one operation, `script(1..=1)`.
//! It takes some hundreds of steps, more than proptest takes by itself (four for each case, so 1024): set
//! `max_shrink_iters`, or let [`check_law`](crate::state_machine::check_law) run the test, which also leaves out part after part
//! of a counterexample until none is left that it could do without.
//!
//! ```
//! use crm_chat_conformance::model::Model;
//! use crm_chat_conformance::strategies;
//! use proptest::prelude::*;
//!
//! proptest!(|((world, actor, removal) in strategies::world_and_removal())| {
//!     let mut model = Model::new(world);
//!     let predicted = model.answer(actor, &removal);
//!     prop_assert_eq!(model.remove(actor, &removal), predicted);
//! });
//! ```

mod edit;
mod ids;
mod request;
mod script;
#[cfg(test)]
mod tests;
mod world;

use crm_chat_domain::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::Operation;

pub use edit::edit;
pub use ids::Ids;
pub use request::{
    call, id_input, kind_input, odd_id, odd_kind, removal, world_and_call, world_and_removal,
};
pub use script::{ScriptTree, Scripts, script};
pub use world::{world, world_of};

/// One operation on a store that holds `world`.
pub fn operation(world: &Snapshot) -> impl Strategy<Value = Operation> + use<> {
    prop_oneof![
        6 => call(world).prop_map(Operation::Remove),
        4 => edit(world).prop_map(Operation::Edit),
        2 => remove_many(world),
        1 => call(world).prop_map(Operation::Explain),
        1 => Just(Operation::Dump),
    ]
}

/// Some calls; now and then the first of them again at the end.
fn remove_many(world: &Snapshot) -> impl Strategy<Value = Operation> + use<> {
    let calls = (vec(call(world), 0..4), proptest::bool::weighted(0.3));
    calls.prop_map(|(mut calls, again)| {
        if again {
            calls.extend(calls.first().cloned());
        }
        Operation::RemoveMany(calls)
    })
}
