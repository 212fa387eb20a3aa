//! The readiness probe.

use std::sync::Arc;
use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate, PortCall};
use crm_chat_domain::{Store, StoreError, StoreErrorKind};
use crm_chat_memory::Memory;
use crm_chat_rest::Options;
use tokio::time::{Instant, advance};

use crate::log::Log;
use crate::support::{TestRouter, memory, world};

async fn faulty() -> (Faulty<Memory>, TestRouter) {
    let store = Faulty::new(memory(&world()).await);
    let router = TestRouter::over(store.clone(), Options::default()).await;
    (store, router)
}

fn transactions(store: &Faulty<Memory>) -> usize {
    let calls = store.calls();
    calls.iter().filter(|call| **call == PortCall::Begin).count()
}

/// A store that can only be read, like a database whose write lock another process holds.
struct Locked(Memory);

impl Store for Locked {
    type Tx = <Memory as Store>::Tx;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unavailable, "begin"))
    }

    async fn begin_read(&self) -> Result<Self::Tx, StoreError> {
        self.0.begin_read().await
    }
}

#[tokio::test]
async fn store_that_is_locked_for_writing_is_ready() {
    let router = TestRouter::over(Locked(memory(&world()).await), Options::default()).await;
    assert_eq!(router.probe("/readyz").await, (200, "ready\n".to_owned()));
    // Methods that do not write do not need the lock either.
    let response = router.get("/rest/1/{secret}/server.time").await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn readiness_check_is_reused_for_a_second() {
    let (store, router) = faulty().await;
    for _ in 0..10 {
        assert_eq!(router.probe("/readyz").await.0, 200);
        advance(Duration::from_millis(99)).await;
    }
    assert_eq!(transactions(&store), 1);
    advance(Duration::from_millis(10)).await;
    store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
    for _ in 0..10 {
        assert_eq!(router.probe("/readyz").await.0, 503);
        advance(Duration::from_millis(99)).await;
    }
    assert_eq!(transactions(&store), 2);
    advance(Duration::from_millis(10)).await;
    assert_eq!(router.probe("/readyz").await.0, 200);
    assert_eq!(router.probe("/healthz").await.0, 200);
    assert_eq!(transactions(&store), 3, "liveness does not depend on the store");
}

#[tokio::test(start_paused = true)]
async fn concurrent_pollers_share_one_check_of_at_most_2_seconds() {
    let (store, router) = faulty().await;
    store.inject(1, Fault::StallBefore(Gate::default()));
    let router = Arc::new(router);
    let began = Instant::now();
    let pollers: Vec<_> = (0..20)
        .map(|_| {
            let router = Arc::clone(&router);
            tokio::spawn(async move { router.probe("/readyz").await.0 })
        })
        .collect();
    for poller in pollers {
        assert_eq!(poller.await.expect("a response"), 503);
    }
    assert!(began.elapsed() < Duration::from_millis(2100));
    assert_eq!(transactions(&store), 1);
}

#[tokio::test(start_paused = true)]
async fn store_that_served_a_recent_call_is_ready_without_a_check() {
    let (store, router) = faulty().await;
    assert_eq!(router.get("/rest/1/{secret}/scope").await.status, 200);
    let asked = transactions(&store);
    store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
    assert_eq!(router.probe("/readyz").await.0, 200);
    advance(Duration::from_millis(2900)).await;
    assert_eq!(router.probe("/readyz").await.0, 200);
    assert_eq!(transactions(&store), asked);
    advance(Duration::from_millis(200)).await;
    assert_eq!(router.probe("/readyz").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn failed_readiness_check_is_logged_and_counted_by_reason() {
    let (log, _guard) = Log::capture();
    let (store, router) = faulty().await;
    store.inject(1, Fault::Before(StoreErrorKind::Corrupt));
    assert_eq!(router.probe("/readyz").await.0, 503);
    advance(Duration::from_secs(2)).await;
    store.inject(1, Fault::StallBefore(Gate::default()));
    assert_eq!(router.probe("/readyz").await.0, 503);
    for reason in ["store_failed", "store_timeout"] {
        let name = format!("crm_chat_readiness_failures_total{{reason=\"{reason}\"}}");
        assert_eq!(router.metric(&name).await, 1, "{reason}");
        assert!(log.text().contains(&format!("reason=\"{reason}\"")));
    }
    assert!(log.text().contains("injected fault"), "{}", log.text());
}
