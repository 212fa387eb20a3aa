//! A store that fails, stalls or panics, and a server with too much to do.

use std::sync::Arc;
use std::time::Duration;

use crm_chat_conformance::faults::{Fault, Faulty, Gate};
use crm_chat_domain::{Store, StoreError, StoreErrorKind};
use crm_chat_memory::Memory;
use crm_chat_rest::Options;

use crate::log::Log;
use crate::support::{Answer, DELETE, Wire, memory, world};

const KINDS: [StoreErrorKind; 6] = [
    StoreErrorKind::Conflict,
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

async fn remove(wire: &Wire) -> Answer {
    let path = format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=7");
    wire.get(&path).await
}

async fn faulty(options: Options) -> (Faulty<Memory>, Wire) {
    let store = Faulty::new(memory(&world()).await);
    let wire = Wire::over(store.clone(), options).await;
    (store, wire)
}

#[tokio::test]
async fn a_failure_of_any_port_call_is_told_by_its_kind_and_its_cause_to_the_log_alone() {
    let (store, wire) = faulty(Options::default()).await;
    assert_eq!(remove(&wire).await.status, 200);
    let calls = store.calls().len();
    assert!(calls > 10, "a removal is expected to ask all the rules");

    for call in 1..=calls {
        for kind in KINDS {
            let (store, wire) = faulty(Options::default()).await;
            let before = store.inner().dump().await;
            store.inject(call, Fault::Before(kind));
            let (log, _caught) = Log::catch();
            let answer = remove(&wire).await;
            let context = format!("{kind:?} at call {call}: {answer:?}");
            let (status, code) = match kind {
                // The replay succeeds.
                StoreErrorKind::Conflict => (200, None),
                StoreErrorKind::Unavailable => (503, Some("OVERLOAD_LIMIT")),
                _ => (500, Some("INTERNAL_SERVER_ERROR")),
            };
            assert_eq!(answer.status, status, "{context}");
            assert_eq!(answer.body["error"].as_str(), code, "{context}");
            assert!(!answer.body.to_string().contains("fault"), "{context}");
            assert_eq!(log.text().contains("injected fault"), code.is_some(), "{context}");
            assert_eq!(store.inner().dump().await == before, code.is_some(), "{context}");
        }
    }
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_an_overload() {
    let (store, wire) = faulty(Options::default()).await;
    for call in 1..100 {
        store.inject(call, Fault::Before(StoreErrorKind::Conflict));
    }
    let answer = remove(&wire).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (503, Some("OVERLOAD_LIMIT")));
}

#[tokio::test]
async fn a_failure_within_a_batch_is_told_by_its_kind() {
    for (kind, code) in [
        (StoreErrorKind::Unavailable, "OVERLOAD_LIMIT"),
        (StoreErrorKind::Corrupt, "INTERNAL_SERVER_ERROR"),
    ] {
        let (store, wire) = faulty(Options::default()).await;
        // The first three ask whether the caller is active.
        store.inject(4, Fault::Before(kind));
        let command = format!("{DELETE}%3FCRM_ENTITY_TYPE=deal%26CRM_ENTITY=288%26USER_ID=7");
        let answer =
            wire.get(&format!("/rest/1/{{secret}}/batch?cmd[]={command}&cmd[]={command}")).await;
        assert_eq!(answer.body["result"]["result_error"][0]["error"], code, "{answer:?}");
        assert_eq!(answer.body["result"]["result"]["1"], 8773, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_any_port_call_ends_when_the_time_is_up() {
    let (store, wire) = faulty(Options::default()).await;
    remove(&wire).await;
    for call in 1..=store.calls().len() {
        let (store, wire) = faulty(Options::default()).await;
        store.inject(call, Fault::StallBefore(Gate::default()));
        let (log, _caught) = Log::catch();
        let answer = remove(&wire).await;
        assert_eq!(answer.status, 500, "call {call}: {answer:?}");
        assert_eq!(answer.body["error"], "INTERNAL_SERVER_ERROR");
        assert!(log.text().contains("timed out"), "{}", log.text());
        // Nothing is left behind: the same call now succeeds.
        assert_eq!(remove(&wire).await.status, 200, "call {call}");
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_at_once() {
    let mut options = Options::default();
    options.max_concurrent_requests = 2;
    let (store, wire) = faulty(options).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let wire = Arc::new(wire);
    let stalled = tokio::spawn({
        let wire = Arc::clone(&wire);
        async move { remove(&wire).await }
    });
    gate.reached().await;
    assert_eq!(wire.get("/rest/1/{secret}/scope").await.status, 200, "there is a second place");

    let second = Gate::default();
    store.inject(1, Fault::StallBefore(second.clone()));
    let also_stalled = tokio::spawn({
        let wire = Arc::clone(&wire);
        async move { wire.get("/rest/1/{secret}/scope").await }
    });
    second.reached().await;
    let shed = wire.get("/rest/1/{secret}/scope").await;
    assert_eq!((shed.status, shed.body["error"].as_str()), (503, Some("OVERLOAD_LIMIT")));

    gate.open();
    second.open();
    assert_eq!(stalled.await.expect("an answer").status, 200);
    assert_eq!(also_stalled.await.expect("an answer").status, 200);
    assert_eq!(wire.get("/rest/1/{secret}/scope").await.status, 200, "the places are free again");
}

#[tokio::test]
async fn the_rate_limit_counts_each_credential_by_itself_and_failures_of_credentials_not() {
    let mut options = Options::default();
    options.rate_limit = true;
    let (_, wire) = faulty(options).await;
    for _ in 0..60 {
        assert_eq!(wire.get("/rest/1/wrong/scope").await.status, 401);
    }
    let mut limited = None;
    for call in 1..=60 {
        let answer = wire.get("/rest/1/{secret}/scope").await;
        if answer.status != 200 {
            assert_eq!(
                (answer.status, answer.body["error"].as_str()),
                (503, Some("QUERY_LIMIT_EXCEEDED"))
            );
            limited = Some(call);
            break;
        }
    }
    // It drains while this runs, but far more slowly than it fills.
    assert!(limited.is_some_and(|call| call > 50), "{limited:?}");
    assert_eq!(wire.get("/rest/1/{scopeless}/scope").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_leaves_is_told_of_and_leaves_nothing_behind() {
    let (store, wire) = faulty(Options::default()).await;
    store.inject(6, Fault::StallBefore(Gate::default()));
    let (log, _caught) = Log::catch();
    let left = tokio::time::timeout(Duration::from_secs(1), remove(&wire)).await;
    assert!(left.is_err());
    let text = log.text();
    let line = text.lines().find(|line| line.contains("request completed")).expect("a line");
    assert!(line.contains("actor=1") && line.contains("code=\"CANCELLED\""), "{line}");
    assert_eq!(remove(&wire).await.status, 200);
}

/// A store whose `begin` panics.
struct Panicking;

impl Store for Panicking {
    type Tx = <Memory as Store>::Tx;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        panic!("the store's own fault");
    }
}

#[tokio::test]
async fn a_store_that_panics_is_an_internal_error() {
    let wire = Wire::over(Panicking, Options::default()).await;
    let answer = remove(&wire).await;
    assert_eq!(
        (answer.status, answer.body["error"].as_str()),
        (500, Some("INTERNAL_SERVER_ERROR"))
    );
    assert!(!answer.body.to_string().contains("fault"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let (_, wire) = faulty(Options::default()).await;
    let body = axum::body::Body::from_stream(futures_lite::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let request = axum::http::Request::post(wire.secrets.fill("/rest/1/{secret}/scope")).body(body);
    let began = tokio::time::Instant::now();
    let answer = wire.ask(request.expect("a request")).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (400, Some("INVALID_REQUEST")));
    assert!(began.elapsed() <= Duration::from_secs(31));
}
