//! `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate, PortCall};
use crm_chat_domain::{Store, StoreError, StoreErrorKind};
use crm_chat_memory::Memory;
use crm_chat_rest::Options;
use tokio::time::{Instant, advance};

use crate::log::Log;
use crate::support::{Wire, memory, world};

async fn faulty() -> (Faulty<Memory>, Wire) {
    let store = Faulty::new(memory(&world()).await);
    let wire = Wire::over(store.clone(), Options::default()).await;
    (store, wire)
}

fn begun(store: &Faulty<Memory>) -> usize {
    let calls = store.calls();
    calls.iter().filter(|call| **call == PortCall::Begin).count()
}

/// A store that can only be read, as a database is while another process holds its write lock.
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
    let wire = Wire::over(Locked(memory(&world()).await), Options::default()).await;
    assert_eq!(wire.probe("/readyz").await, (200, "ready\n".to_owned()));
    // Nor do methods that do not touch the store need the lock.
    let answer = wire.get("/rest/1/{secret}/server.time").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn answer_of_the_store_counts_for_a_second() {
    let (store, wire) = faulty().await;
    for _ in 0..10 {
        assert_eq!(wire.probe("/readyz").await.0, 200);
        advance(Duration::from_millis(99)).await;
    }
    assert_eq!(begun(&store), 1);
    advance(Duration::from_millis(10)).await;
    store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
    for _ in 0..10 {
        assert_eq!(wire.probe("/readyz").await.0, 503);
        advance(Duration::from_millis(99)).await;
    }
    assert_eq!(begun(&store), 2);
    advance(Duration::from_millis(10)).await;
    assert_eq!(wire.probe("/readyz").await.0, 200);
    assert_eq!(wire.probe("/healthz").await.0, 200);
    assert_eq!(begun(&store), 3, "liveness does not ask the store");
}

#[tokio::test(start_paused = true)]
async fn pollers_share_one_question_and_are_answered_within_2_seconds() {
    let (store, wire) = faulty().await;
    store.inject(1, Fault::StallBefore(Gate::default()));
    let wire = Arc::new(wire);
    let began = Instant::now();
    let pollers: Vec<_> = (0..20)
        .map(|_| {
            let wire = Arc::clone(&wire);
            tokio::spawn(async move { wire.probe("/readyz").await.0 })
        })
        .collect();
    for poller in pollers {
        assert_eq!(poller.await.expect("an answer"), 503);
    }
    assert!(began.elapsed() < Duration::from_millis(2100));
    assert_eq!(begun(&store), 1);
}

#[tokio::test(start_paused = true)]
async fn store_that_answered_a_call_of_late_is_ready_without_being_asked() {
    let (store, wire) = faulty().await;
    assert_eq!(wire.get("/rest/1/{secret}/scope").await.status, 200);
    let asked = begun(&store);
    store.inject(1, Fault::Before(StoreErrorKind::Unavailable));
    assert_eq!(wire.probe("/readyz").await.0, 200);
    advance(Duration::from_millis(2900)).await;
    assert_eq!(wire.probe("/readyz").await.0, 200);
    assert_eq!(begun(&store), asked);
    advance(Duration::from_millis(200)).await;
    assert_eq!(wire.probe("/readyz").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn failed_check_is_logged_and_counted_by_reason() {
    let (log, _caught) = Log::catch();
    let (store, wire) = faulty().await;
    store.inject(1, Fault::Before(StoreErrorKind::Corrupt));
    assert_eq!(wire.probe("/readyz").await.0, 503);
    advance(Duration::from_secs(2)).await;
    store.inject(1, Fault::StallBefore(Gate::default()));
    assert_eq!(wire.probe("/readyz").await.0, 503);
    for reason in ["store_failed", "store_timeout"] {
        let figure = format!("crm_chat_readiness_failures_total{{reason=\"{reason}\"}}");
        assert_eq!(wire.figure(&figure).await, 1, "{reason}");
        assert!(log.text().contains(&format!("reason=\"{reason}\"")));
    }
    assert!(log.text().contains("injected fault"), "{}", log.text());
}
