//! The strict double: right callers pass, each breach is stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crm_chat_conformance::faults::{Call, Fault, Faulty};
use crm_chat_conformance::fixtures::{change, chat, entity, office, removal, user};
use crm_chat_conformance::model::Model;
use crm_chat_conformance::strategies;
use crm_chat_conformance::strict::Strict;
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

    /// The core keeps the protocol: one removal and a batch, in any world.
    #[test]
    fn the_core_keeps_the_protocol((world, actor, removal) in strategies::world_and_removal()) {
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

/// It rolls back after a failure, whichever call fails, and settles every transaction.
#[test]
fn the_core_keeps_the_protocol_when_calls_fail() {
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

/// The calls by which user 1 removes the owner of chat 8773.
fn right() -> [Call; 9] {
    let (actor, entity, chat) = (user(1), entity("deal:288"), chat(8773));
    [
        Call::MessengerInstalled,
        Call::HasAccess { actor, entity },
        Call::LastChat { entity },
        Call::MayRemove { actor, chat, entity },
        Call::IsActive { user: user(7) },
        Call::Role { chat, user: user(7) },
        Call::Successor { chat, leaving: user(7) },
        Call::RemoveMember(change(7, OwnerChange::PassesTo(user(13)))),
        Call::Commit,
    ]
}

/// Announces the removal by an actor and makes calls.
async fn make(store: &Strict<Memory>, actor: i64, calls: &[Call]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.prefetch(user(actor), &removal(7)).await;
    for call in calls {
        match *call {
            Call::Begin => {}
            Call::MessengerInstalled => drop(tx.messenger_installed().await?),
            Call::HasAccess { actor, entity } => drop(tx.has_access(actor, entity).await?),
            Call::LastChat { entity } => drop(tx.last_chat(entity).await?),
            Call::IsLinked { chat, entity } => drop(tx.is_linked(chat, entity).await?),
            Call::MayRemove { actor, chat, entity } => {
                let _ = tx.may_remove(actor, chat, entity).await?;
            }
            Call::IsActive { user } => drop(tx.is_active(user).await?),
            Call::Role { chat, user } => drop(tx.role(chat, user).await?),
            Call::Successor { chat, leaving } => drop(tx.successor(chat, leaving).await?),
            Call::RemoveMember(change) => drop(tx.remove_member(&change).await?),
            Call::Commit => return tx.commit().await,
            Call::Rollback => return tx.rollback().await,
        }
    }
    Ok(())
}

fn stops(actor: i64, calls: &[Call]) -> bool {
    stop(actor, calls).is_some()
}

/// What a caller who is stopped is told.
fn stop(actor: i64, calls: &[Call]) -> Option<String> {
    let store = strict_office();
    let made = catch_unwind(AssertUnwindSafe(|| block_on(make(&store, actor, calls))));
    let told = made.err()?.downcast::<String>();
    Some(*told.expect("the panic is a text"))
}

#[test]
fn whoever_is_stopped_is_told_what_was_due() {
    let decided = [&right()[..8], &[Call::MessengerInstalled]].concat();
    for (calls, due) in [
        (&[Call::Commit][..], "MessengerInstalled; the call is Commit"),
        (
            &decided[..],
            "the removal is decided, so Commit or another announcement; the call is MessengerInstalled",
        ),
    ] {
        assert_eq!(stop(1, calls), Some(format!("expected: {due}")));
    }
}

/// What comes after how many right calls.
#[test]
fn every_breach_is_stopped() {
    let (deal, eight) = (entity("deal:288"), chat(8773));
    let access_of = |id| Call::HasAccess { actor: user(id), entity: deal };
    let linked = Call::IsLinked { chat: eight, entity: deal };
    let written = |owner| Call::RemoveMember(change(7, owner));
    let right_write = right()[7];
    let breaches = [
        ("a question out of order", 0, access_of(1)),
        ("a question asked twice", 1, Call::MessengerInstalled),
        ("a question about somebody else", 1, access_of(2)),
        ("rule 9 asked of the last chat", 3, linked),
        ("a write before the last question", 6, right_write),
        ("a write that leaves the owner", 7, written(OwnerChange::Unchanged)),
        ("a write that names another owner", 7, written(OwnerChange::PassesTo(user(12)))),
        ("a question after the write", 8, Call::MessengerInstalled),
        ("a second write", 8, right_write),
        ("a commit before an answer stands", 4, Call::Commit),
        ("a rollback without a failure", 8, Call::Rollback),
    ];
    assert!(!stops(1, &right()));
    for (what, made, breach) in breaches {
        let calls = [&right()[..made], &[breach]].concat();
        assert!(!stops(1, &right()[..made]), "what comes before {what}");
        assert!(stops(1, &calls), "{what}");
    }
    let after_refusal = [Call::MessengerInstalled, access_of(4), Call::LastChat { entity: deal }];
    assert!(!stops(4, &after_refusal[..2]));
    assert!(stops(4, &after_refusal), "a question after the one that decides");
}

#[test]
fn a_transaction_that_is_only_dropped_is_not_settled() {
    let store = strict_office();
    block_on(make(&store, 1, &right()[..8])).unwrap();
    let settled = catch_unwind(AssertUnwindSafe(|| store.assert_settled()));
    assert!(settled.is_err());
}
