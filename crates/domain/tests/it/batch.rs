//! `remove_users`: many removals in one transaction.

use crm_chat_domain::snapshot::{AccessGrant, Chat, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    ChatId, IfAbsent, Outcome, OwnerChange, Refusal, Removal, Snapshot, StoreErrorKind, UserId,
    remove_users,
};
use crm_chat_memory::Memory;
use futures_lite::future::block_on;

use crate::script::{ACTOR, Call, ENTITY, Facts, Fault, NAMED, SUCCESSOR, Script, USER};

/// A chat of three members, owned by the first and linked to the entity. The actor has every right.
fn snapshot() -> Snapshot {
    let third = UserId::new(13).unwrap();
    Snapshot {
        users: [SUCCESSOR, USER, third]
            .map(|id| User { id, active: true, kind: UserKind::Human })
            .to_vec(),
        chats: vec![Chat { id: NAMED, owner: Some(USER), members: vec![USER, SUCCESSOR, third] }],
        links: vec![Link { entity: ENTITY, chat: NAMED }],
        access: vec![AccessGrant { user: ACTOR, entity: ENTITY }],
        removers: vec![RemovalRight { user: ACTOR, chat: NAMED }],
        ..Snapshot::default()
    }
}

/// Runs a batch, and returns abbreviated answers with the state after them.
fn run(requests: &[(UserId, Removal)]) -> (Vec<String>, Snapshot) {
    let store = Memory::new();
    block_on(store.load(&snapshot())).unwrap();
    let answers = block_on(remove_users(&store, requests)).unwrap();
    let answers = answers.into_iter().map(|answer| match answer {
        Ok(Outcome::Removed(change)) => match change.owner {
            OwnerChange::PassesTo(owner) => format!("{} left, {owner} owns", change.user),
            OwnerChange::Unchanged => format!("{} left", change.user),
            OwnerChange::Vacant => format!("{} left, no owner", change.user),
        },
        Ok(outcome) => format!("{outcome:?}"),
        Err(refusal) => refusal.code().to_owned(),
    });
    (answers.collect(), block_on(store.dump()))
}

fn removal(user: i64) -> Removal {
    Removal::new(ENTITY, UserId::new(user).unwrap())
}

#[test]
fn each_request_is_answered_in_order_and_sees_those_before_it() {
    let elsewhere = ChatId::new(1).unwrap();
    let (answers, left) = run(&[
        (ACTOR, removal(12)),
        (USER, removal(7)),
        (ACTOR, removal(7).in_chat(elsewhere)),
        (ACTOR, removal(7)),
        (ACTOR, removal(99)),
        (ACTOR, removal(13)),
    ]);
    assert_eq!(
        answers,
        [
            "12 left, 7 owns",
            "ACCESS_DENIED",
            "CHAT_NOT_IN_CRM",
            "7 left, 13 owns",
            "CRM_CHAT_USER_NOT_ACTIVE",
            "13 left, no owner",
        ]
    );
    let logged: Vec<i64> = left.removals.iter().map(|record| record.user.get()).collect();
    assert_eq!(logged, [12, 7, 13]);
    assert_eq!((left.chats[0].owner, left.chats[0].members.len()), (None, 0));
}

#[test]
fn repeated_request_makes_one_change() {
    for (if_absent, second) in [
        (IfAbsent::Refuse, "WRONG_REQUEST".to_owned()),
        (IfAbsent::Accept, format!("AlreadyAbsent {{ chat: {NAMED:?} }}")),
    ] {
        let request = (ACTOR, removal(12).if_absent(if_absent));
        let (answers, left) = run(&[request, request]);
        assert_eq!(answers, ["12 left, 7 owns".to_owned(), second]);
        assert_eq!(left.removals.len(), 1);
    }
}

#[test]
fn empty_batch_changes_nothing() {
    let (answers, left) = run(&[]);
    assert_eq!((answers.len(), left), (0, snapshot()));
}

#[test]
fn one_storage_failure_fails_the_whole_batch() {
    for at in [Call::Messenger, Call::Role, Call::RemoveMember] {
        let kind = StoreErrorKind::Unavailable;
        let script = Script::new([Facts::default()]).fail(Fault { at, kind, occurrences: 1..2 });
        let removal = Removal::new(ENTITY, USER).in_chat(NAMED);
        let requests = [(ACTOR, removal); 3];
        let error = block_on(remove_users(&script.store(NAMED), &requests)).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(script.calls()[script.calls().len() - 2..], [at, Call::Rollback]);
        assert!(!script.calls().contains(&Call::Commit));
    }
}

#[test]
fn refusal_does_not_affect_other_requests_and_batch_commits_once() {
    let facts = Facts { role: None, ..Facts::default() };
    let script = Script::new([facts]);
    let removal = Removal::new(ENTITY, USER).in_chat(NAMED);
    let answers = block_on(remove_users(&script.store(NAMED), &[(ACTOR, removal); 3])).unwrap();
    let (user, chat) = (USER, NAMED);
    assert_eq!(answers, [Err(Refusal::NotAMember { user, chat }); 3]);
    let count = |call| script.calls().iter().filter(|made| **made == call).count();
    let prefetched = count(Call::Prefetch(removal));
    assert_eq!((count(Call::Begin), prefetched, count(Call::Commit)), (1, 3, 1));
    assert_eq!(script.calls().last(), Some(&Call::Commit));
}
