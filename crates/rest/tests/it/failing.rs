//! Stores that fail, stall or panic, and overload.

use std::sync::Arc;
use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_domain::{Store, StoreError, StoreErrorKind};
use crm_chat_memory::Memory;
use crm_chat_rest::Options;

use crate::log::Log;
use crate::support::{ApiResponse, DELETE, TestRouter, memory, world};

const KINDS: [StoreErrorKind; 6] = [
    StoreErrorKind::Conflict,
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

async fn remove(router: &TestRouter) -> ApiResponse {
    let path = format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=7");
    router.get(&path).await
}

async fn faulty(options: Options) -> (Faulty<Memory>, TestRouter) {
    let store = Faulty::new(memory(&world()).await);
    let router = TestRouter::over(store.clone(), options).await;
    (store, router)
}

#[tokio::test]
async fn failed_port_call_is_reported_by_its_kind_and_its_cause_is_only_logged() {
    let (store, router) = faulty(Options::default()).await;
    assert_eq!(remove(&router).await.status, 200);
    let calls = store.calls().len();
    assert!(calls > 10, "a removal checks all rules");

    for call in 1..=calls {
        for kind in KINDS {
            let (store, router) = faulty(Options::default()).await;
            let before = store.inner().dump().await;
            store.inject(call, Fault::Before(kind));
            let (log, _guard) = Log::capture();
            let response = remove(&router).await;
            let context = format!("{kind:?} at call {call}: {response:?}");
            let (status, code) = match kind {
                // The transaction is replayed, which succeeds.
                StoreErrorKind::Conflict => (200, None),
                StoreErrorKind::Unavailable => (503, Some("OVERLOAD_LIMIT")),
                _ => (500, Some("INTERNAL_SERVER_ERROR")),
            };
            assert_eq!(response.status, status, "{context}");
            assert_eq!(response.body["error"].as_str(), code, "{context}");
            assert!(!response.body.to_string().contains("fault"), "{context}");
            assert_eq!(log.text().contains("injected fault"), code.is_some(), "{context}");
            assert_eq!(store.inner().dump().await == before, code.is_some(), "{context}");
        }
    }
}

#[tokio::test]
async fn endless_conflict_is_reported_as_overload() {
    let (store, router) = faulty(Options::default()).await;
    for call in 1..100 {
        store.inject(call, Fault::Before(StoreErrorKind::Conflict));
    }
    let response = remove(&router).await;
    assert_eq!((response.status, response.body["error"].as_str()), (503, Some("OVERLOAD_LIMIT")));
}

#[tokio::test]
async fn failed_port_call_in_a_batch_is_reported_by_its_kind() {
    for (kind, code) in [
        (StoreErrorKind::Unavailable, "OVERLOAD_LIMIT"),
        (StoreErrorKind::Corrupt, "INTERNAL_SERVER_ERROR"),
    ] {
        let (store, router) = faulty(Options::default()).await;
        // The first three port calls check that the caller is active.
        store.inject(4, Fault::Before(kind));
        let command = format!("{DELETE}%3FCRM_ENTITY_TYPE=deal%26CRM_ENTITY=288%26USER_ID=7");
        let response =
            router.get(&format!("/rest/1/{{secret}}/batch?cmd[]={command}&cmd[]={command}")).await;
        assert_eq!(response.body["result"]["result_error"][0]["error"], code, "{response:?}");
        assert_eq!(response.body["result"]["result"]["1"], 8773, "{response:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_port_call_ends_in_a_timeout() {
    let (store, router) = faulty(Options::default()).await;
    remove(&router).await;
    for call in 1..=store.calls().len() {
        let (store, router) = faulty(Options::default()).await;
        store.inject(call, Fault::StallBefore(Gate::default()));
        let (log, _guard) = Log::capture();
        let response = remove(&router).await;
        assert_eq!(response.status, 500, "call {call}: {response:?}");
        assert_eq!(response.body["error"], "INTERNAL_SERVER_ERROR");
        assert!(log.text().contains("timed out"), "{}", log.text());
        // Nothing is left behind, so the same call now succeeds.
        assert_eq!(remove(&router).await.status, 200, "call {call}");
    }
}

#[tokio::test]
async fn calls_beyond_the_concurrency_limit_are_shed_at_once() {
    let mut options = Options::default();
    options.max_concurrent_requests = 2;
    let (store, router) = faulty(options).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let router = Arc::new(router);
    let stalled = tokio::spawn({
        let router = Arc::clone(&router);
        async move { remove(&router).await }
    });
    gate.reached().await;
    assert_eq!(router.get("/rest/1/{secret}/scope").await.status, 200, "there is a second permit");

    let second = Gate::default();
    store.inject(1, Fault::StallBefore(second.clone()));
    let also_stalled = tokio::spawn({
        let router = Arc::clone(&router);
        async move { router.get("/rest/1/{secret}/scope").await }
    });
    second.reached().await;
    let shed = router.get("/rest/1/{secret}/scope").await;
    assert_eq!((shed.status, shed.body["error"].as_str()), (503, Some("OVERLOAD_LIMIT")));

    gate.open();
    second.open();
    assert_eq!(stalled.await.expect("a response").status, 200);
    assert_eq!(also_stalled.await.expect("a response").status, 200);
    assert_eq!(
        router.get("/rest/1/{secret}/scope").await.status,
        200,
        "the permits are available again"
    );
}

#[tokio::test]
async fn rate_limit_counts_each_credential_separately_and_ignores_invalid_ones() {
    let mut options = Options::default();
    options.rate_limit = true;
    let (_, router) = faulty(options).await;
    for _ in 0..60 {
        assert_eq!(router.get("/rest/1/wrong/scope").await.status, 401);
    }
    let mut limited = None;
    for call in 1..=60 {
        let response = router.get("/rest/1/{secret}/scope").await;
        if response.status != 200 {
            assert_eq!(
                (response.status, response.body["error"].as_str()),
                (503, Some("QUERY_LIMIT_EXCEEDED"))
            );
            limited = Some(call);
            break;
        }
    }
    // The bucket drains during this loop, but much more slowly than it fills.
    assert!(limited.is_some_and(|call| call > 50), "{limited:?}");
    assert_eq!(router.get("/rest/1/{scopeless}/scope").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn dropped_call_is_logged_as_cancelled_and_leaves_nothing_behind() {
    let (store, router) = faulty(Options::default()).await;
    store.inject(6, Fault::StallBefore(Gate::default()));
    let (log, _guard) = Log::capture();
    let left = tokio::time::timeout(Duration::from_secs(1), remove(&router)).await;
    assert!(left.is_err());
    let text = log.text();
    let line = text.lines().find(|line| line.contains("request completed")).expect("a line");
    assert!(line.contains("actor=1") && line.contains("code=\"CANCELLED\""), "{line}");
    assert_eq!(remove(&router).await.status, 200);
}

/// A store whose `begin` panics.
struct Panicking;

impl Store for Panicking {
    type Tx = <Memory as Store>::Tx;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        panic!("a fault in the store");
    }
}

#[tokio::test]
async fn panicking_store_is_reported_as_internal_error() {
    let router = TestRouter::over(Panicking, Options::default()).await;
    let response = remove(&router).await;
    assert_eq!(
        (response.status, response.body["error"].as_str()),
        (500, Some("INTERNAL_SERVER_ERROR"))
    );
    assert!(!response.body.to_string().contains("fault"), "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn body_that_never_arrives_ends_in_a_timeout() {
    let (_, router) = faulty(Options::default()).await;
    let body = axum::body::Body::from_stream(futures_lite::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let request =
        axum::http::Request::post(router.secrets.fill("/rest/1/{secret}/scope")).body(body);
    let began = tokio::time::Instant::now();
    let response = router.send(request.expect("a request")).await;
    assert_eq!((response.status, response.body["error"].as_str()), (400, Some("INVALID_REQUEST")));
    assert!(began.elapsed() <= Duration::from_secs(31));
}
