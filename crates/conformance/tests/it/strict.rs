//! The strict decorator accepts the core and stops every breach of the protocol.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crm_chat_conformance::doubles::{Fault, Faulty, PortCall, Strict};
use crm_chat_conformance::fixtures::{change, chat, entity, office, removal, user};
use crm_chat_conformance::generators;
use crm_chat_conformance::model::Model;
use crm_chat_domain::{
    ChatRepo, CrmRepo, OwnerChange, Permissions, Store, StoreError, StoreErrorKind, UnitOfWork,
    UserRepo, remove_user, remove_users,
};
use crm_chat_memory::Memory;
use futures_lite::future::block_on;
use proptest::prelude::*;

fn strict_office() -> Strict<Memory> {
    let memory = Memory::new();
    block_on(memory.load(&office())).unwrap();
    Strict::new(memory)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The core keeps the protocol for one removal and for a batch, in any world.
    #[test]
    fn core_keeps_the_protocol((world, actor, removal) in generators::arb_world_and_removal()) {
        let memory = Memory::new();
        block_on(memory.load(&world)).unwrap();
        let store = Strict::new(memory);
        let answers = block_on(remove_users(&store, &[(actor, removal); 2])).unwrap();
        let mut model = Model::new(world);
        prop_assert_eq!(answers, [model.remove(actor, &removal), model.remove(actor, &removal)]);
        let _ = block_on(remove_user(&store, actor, &removal));
        store.assert_settled();
    }
}

/// The core rolls back after a failure of any call, and settles every transaction.
#[test]
fn core_keeps_the_protocol_when_calls_fail() {
    for n in 1..=10 {
        let memory = Memory::new();
        block_on(memory.load(&office())).unwrap();
        let faulty = Faulty::new(memory);
        faulty.inject(n, Fault::Before(StoreErrorKind::Other));
        let store = Strict::new(faulty);
        assert!(block_on(remove_user(&store, user(1), &removal(7))).is_err());
        store.assert_settled();
    }
}

/// Returns the calls by which user 1 removes the owner of chat 8773.
fn correct_calls() -> [PortCall; 9] {
    let (actor, entity, chat) = (user(1), entity("deal:288"), chat(8773));
    [
        PortCall::MessengerInstalled,
        PortCall::HasAccess { actor, entity },
        PortCall::LastChat { entity },
        PortCall::MayRemove { actor, chat, entity },
        PortCall::IsActive { user: user(7) },
        PortCall::Role { chat, user: user(7) },
        PortCall::Successor { chat, leaving: user(7) },
        PortCall::RemoveMember(change(7, OwnerChange::PassesTo(user(13)))),
        PortCall::Commit,
    ]
}

/// Prefetches the removal by an actor and makes calls.
async fn make_calls(
    store: &Strict<Memory>,
    actor: i64,
    calls: &[PortCall],
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.prefetch(user(actor), &removal(7)).await;
    for call in calls {
        match *call {
            PortCall::Begin => {}
            PortCall::MessengerInstalled => drop(tx.messenger_installed().await?),
            PortCall::HasAccess { actor, entity } => drop(tx.has_access(actor, entity).await?),
            PortCall::LastChat { entity } => drop(tx.last_chat(entity).await?),
            PortCall::IsLinked { chat, entity } => drop(tx.is_linked(chat, entity).await?),
            PortCall::MayRemove { actor, chat, entity } => {
                tx.may_remove(actor, chat, entity).await?;
            }
            PortCall::IsActive { user } => drop(tx.is_active(user).await?),
            PortCall::Role { chat, user } => drop(tx.role(chat, user).await?),
            PortCall::Successor { chat, leaving } => drop(tx.successor(chat, leaving).await?),
            PortCall::RemoveMember(change) => drop(tx.remove_member(&change).await?),
            PortCall::Commit => return tx.commit().await,
            PortCall::Rollback => return tx.rollback().await,
        }
    }
    Ok(())
}

fn is_stopped(actor: i64, calls: &[PortCall]) -> bool {
    panic_of(actor, calls).is_some()
}

/// Returns the panic message if the calls are stopped.
fn panic_of(actor: i64, calls: &[PortCall]) -> Option<String> {
    let store = strict_office();
    let result = catch_unwind(AssertUnwindSafe(|| block_on(make_calls(&store, actor, calls))));
    let message = result.err()?.downcast::<String>();
    Some(*message.expect("the message is a string"))
}

#[test]
fn panic_names_the_expected_call() {
    let decided = [&correct_calls()[..8], &[PortCall::MessengerInstalled]].concat();
    for (calls, expected) in [
        (&[PortCall::Commit][..], "MessengerInstalled; the call is Commit"),
        (
            &decided[..],
            "the removal is decided, so Commit or another prefetch; the call is MessengerInstalled",
        ),
    ] {
        assert_eq!(panic_of(1, calls), Some(format!("expected: {expected}")));
    }
}

/// A call that breaks the protocol after a number of correct ones.
struct Breach {
    name: &'static str,
    correct_calls: usize,
    call: PortCall,
}

#[test]
fn every_breach_is_stopped() {
    let (deal, eight) = (entity("deal:288"), chat(8773));
    let access_of = |id| PortCall::HasAccess { actor: user(id), entity: deal };
    let linked = PortCall::IsLinked { chat: eight, entity: deal };
    let write_with = |owner| PortCall::RemoveMember(change(7, owner));
    let correct_write = correct_calls()[7];
    let breaches = [
        Breach { name: "a query out of order", correct_calls: 0, call: access_of(1) },
        Breach { name: "a query made twice", correct_calls: 1, call: PortCall::MessengerInstalled },
        Breach { name: "a query about another user", correct_calls: 1, call: access_of(2) },
        Breach { name: "rule 9 checked for the last chat", correct_calls: 3, call: linked },
        Breach { name: "a write before the last query", correct_calls: 6, call: correct_write },
        Breach {
            name: "a write that keeps the owner",
            correct_calls: 7,
            call: write_with(OwnerChange::Unchanged),
        },
        Breach {
            name: "a write that names another owner",
            correct_calls: 7,
            call: write_with(OwnerChange::PassesTo(user(12))),
        },
        Breach {
            name: "a query after the write",
            correct_calls: 8,
            call: PortCall::MessengerInstalled,
        },
        Breach { name: "a second write", correct_calls: 8, call: correct_write },
        Breach { name: "a commit before the decision", correct_calls: 4, call: PortCall::Commit },
        Breach { name: "a rollback without a failure", correct_calls: 8, call: PortCall::Rollback },
    ];
    assert!(!is_stopped(1, &correct_calls()));
    for Breach { name, correct_calls: number, call } in breaches {
        let calls = [&correct_calls()[..number], &[call]].concat();
        assert!(!is_stopped(1, &correct_calls()[..number]), "the calls before {name}");
        assert!(is_stopped(1, &calls), "{name}");
    }
    let after_refusal =
        [PortCall::MessengerInstalled, access_of(4), PortCall::LastChat { entity: deal }];
    assert!(!is_stopped(4, &after_refusal[..2]));
    assert!(is_stopped(4, &after_refusal), "a query after the one that decides");
}

#[test]
fn dropped_transaction_is_not_settled() {
    let store = strict_office();
    block_on(make_calls(&store, 1, &correct_calls()[..8])).unwrap();
    let settled = catch_unwind(AssertUnwindSafe(|| store.assert_settled()));
    assert!(settled.is_err());
}
