//! Readiness of the store, for `/readyz`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_domain::{Store, StoreError, Transaction, Work, transact_read};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::telemetry::Telemetry;

/// The time that the store is given to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The time for which an answer of the store counts for other pollers.
const CACHED_FOR: Duration = Duration::from_secs(1);

/// The time for which the store is ready without being asked after a transaction of a call has
/// ended well. So a busy store is ready, however long a new transaction would have to wait.
const READY_AFTER_CALL: Duration = Duration::from_secs(3);

/// Answers pollers, and asks the store for them as rarely as possible.
#[derive(Debug)]
pub(crate) struct Readiness {
    origin: Instant,
    /// The end of the last transaction of a call that ended well, in milliseconds since the origin,
    /// plus 1.
    last_call: AtomicU64,
    /// Held while the store is asked, so that all other pollers wait for this answer and share it.
    last_check: Mutex<Option<Check>>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    at: Instant,
    ready: bool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), last_call: AtomicU64::new(0), last_check: Mutex::default() }
    }

    /// Notes that a transaction of a call has ended well.
    pub(crate) fn note_success(&self) {
        let since = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_call.store(since.saturating_add(1), Ordering::Relaxed);
    }

    /// Returns whether the store answers.
    pub(crate) async fn check(&self, store: &impl Store, telemetry: &Telemetry) -> bool {
        if self.called_recently() {
            return true;
        }
        let mut last_check = self.last_check.lock().await;
        match *last_check {
            Some(check) if check.at.elapsed() < CACHED_FOR => check.ready,
            _ => {
                let ready = ask(store, telemetry).await;
                let at = Instant::now();
                *last_check = Some(Check { at, ready });
                ready
            }
        }
    }

    fn called_recently(&self) -> bool {
        let last_call = self.last_call.load(Ordering::Relaxed);
        last_call.checked_sub(1).is_some_and(|since| {
            self.origin + Duration::from_millis(since) + READY_AFTER_CALL > Instant::now()
        })
    }
}

async fn ask(store: &impl Store, telemetry: &Telemetry) -> bool {
    match timeout(TIMEOUT, transact_read(store, &Probe)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            telemetry.not_ready("store_failed", &error.report());
            false
        }
        Err(_) => {
            telemetry.not_ready("store_timeout", "the store did not answer in time");
            false
        }
    }
}

struct Probe;

impl<T: Transaction> Work<T> for Probe {
    type Output = ();

    async fn run(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.messenger_installed().await.map(drop)
    }
}
