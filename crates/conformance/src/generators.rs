//! [mod@proptest] strategies for worlds, requests, edits and sequences of operations.
//!
//! All strategies draw from a few shared [`Ids`], so that the parts of a world are connected: a
//! chat has several members, an entity several chats, a user rights in one chat but not in another.
//! Requests are drawn relative to a world, so that more than a third of the removals succeed while
//! every rule still decides sometimes.
//!
//! All strategies shrink to few parts. [`arb_script`], [`arb_world_and_removal`] and
//! [`arb_world_and_call`] shrink better than a world combined by `prop_flat_map`. To get a world
//! and an edit, use a script of one operation, `arb_script(1..=1)`.
//!
//! Shrinking takes some hundreds of steps, more than proptest's default (four per case, so 1024).
//! Set `max_shrink_iters`, or run the test by [`check_law`](crate::properties::check_law), which
//! also minimises the counterexample until no part of it can be removed.
//!
//! ```
//! use crm_chat_conformance::generators;
//! use crm_chat_conformance::model::Model;
//! use proptest::prelude::*;
//!
//! proptest!(|((world, actor, removal) in generators::arb_world_and_removal())| {
//!     let mut model = Model::new(world);
//!     let predicted = model.answer(actor, &removal);
//!     prop_assert_eq!(model.remove(actor, &removal), predicted);
//! });
//! ```

mod edits;
mod ids;
mod machine;
mod operations;
mod requests;
mod scripts;
#[cfg(test)]
mod tests;
mod worlds;

pub use edits::arb_edit;
pub use ids::Ids;
pub use machine::{ModelMachine, ModelState};
pub use operations::arb_operation;
pub use requests::{
    arb_call, arb_id_input, arb_invalid_id, arb_invalid_kind, arb_kind_input, arb_removal,
    arb_world_and_call, arb_world_and_removal,
};
pub use scripts::{ArbScript, ScriptTree, arb_script};
pub use worlds::{arb_world, arb_world_of};
