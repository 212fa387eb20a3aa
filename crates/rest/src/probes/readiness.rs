//! The readiness of the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_domain::{Store, StoreError, Transaction, Work, transact_read};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::telemetry::Telemetry;

/// The time within which the store must respond.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The time for which the result of a check is reused for other requests.
const CACHED_FOR: Duration = Duration::from_secs(1);

/// The time for which the store counts as ready after a call completed a transaction. A busy store
/// is thus ready, however long a new transaction would have to wait.
const READY_AFTER_CALL: Duration = Duration::from_secs(3);

/// Checks whether the store is ready, with as few transactions as possible.
#[derive(Debug)]
pub(crate) struct Readiness {
    created_at: Instant,
    /// The time at which a call last completed a transaction, in milliseconds since `created_at`,
    /// plus 1. 0 means never.
    last_success: AtomicU64,
    /// Locked during a check, so that concurrent requests wait for its result and share it.
    last_check: Mutex<Option<Check>>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    at: Instant,
    ready: bool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            created_at: Instant::now(),
            last_success: AtomicU64::new(0),
            last_check: Mutex::default(),
        }
    }

    /// Records that a call has completed a transaction.
    pub(crate) fn record_success(&self) {
        let elapsed = u64::try_from(self.created_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_success.store(elapsed.saturating_add(1), Ordering::Relaxed);
    }

    /// Returns `true` if the store responds.
    pub(crate) async fn check(&self, store: &impl Store, telemetry: &Telemetry) -> bool {
        if self.succeeded_recently() {
            return true;
        }
        let mut last_check = self.last_check.lock().await;
        match *last_check {
            Some(check) if check.at.elapsed() < CACHED_FOR => check.ready,
            _ => {
                let ready = query(store, telemetry).await;
                let at = Instant::now();
                *last_check = Some(Check { at, ready });
                ready
            }
        }
    }

    fn succeeded_recently(&self) -> bool {
        let last_success = self.last_success.load(Ordering::Relaxed);
        last_success.checked_sub(1).is_some_and(|elapsed| {
            self.created_at + Duration::from_millis(elapsed) + READY_AFTER_CALL > Instant::now()
        })
    }
}

/// Reads from the store, and logs why that fails.
async fn query(store: &impl Store, telemetry: &Telemetry) -> bool {
    match timeout(TIMEOUT, transact_read(store, &Ping)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            telemetry.record_not_ready("store_failed", &error.report());
            false
        }
        Err(_) => {
            telemetry.record_not_ready("store_timeout", "the store did not respond in time");
            false
        }
    }
}

/// The cheapest read of a store.
struct Ping;

impl<T: Transaction> Work<T> for Ping {
    type Output = ();

    async fn run(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.messenger_installed().await.map(drop)
    }
}
