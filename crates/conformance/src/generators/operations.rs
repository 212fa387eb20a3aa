//! Strategies for operations.

use crm_chat_domain::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;

use super::edits::arb_edit;
use super::requests::arb_call;
use crate::model::Operation;

/// Generates an operation on a store that holds `world`.
pub fn arb_operation(world: &Snapshot) -> impl Strategy<Value = Operation> + use<> {
    // Mostly removals and edits: only they change something that the others can observe.
    prop_oneof![
        6 => arb_call(world).prop_map(Operation::Remove),
        4 => arb_edit(world).prop_map(Operation::Edit),
        2 => arb_remove_many(world),
        1 => arb_call(world).prop_map(Operation::Explain),
        1 => Just(Operation::Dump),
    ]
}

/// Generates some calls, sometimes with the first one repeated at the end.
fn arb_remove_many(world: &Snapshot) -> impl Strategy<Value = Operation> + use<> {
    let calls = (vec(arb_call(world), 0..4), proptest::bool::weighted(0.3));
    calls.prop_map(|(mut calls, again)| {
        if again {
            calls.extend(calls.first().cloned());
        }
        Operation::RemoveMany(calls)
    })
}
