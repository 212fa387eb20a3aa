//! Limits concurrent requests and rejects new ones during shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Bounds the number of requests in flight. Cloning returns another handle to the same limit.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimit {
    permits: Arc<Semaphore>,
    capacity: u32,
    draining: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        Self {
            permits: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            draining: Arc::default(),
            closed: Arc::default(),
        }
    }

    /// Takes a permit without waiting. The request is in flight until the permit is dropped.
    pub(crate) fn try_acquire(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        // Check `closed` only after taking the permit. Otherwise a request could slip in between
        // `close` and `drained`, and shutdown would not wait for it.
        if self.is_closed() {
            return Err(ApiError::ShuttingDown);
        }
        permit.map_err(|_| ApiError::Overloaded)
    }

    /// Returns `true` if further requests are rejected.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Announces that [`close`](Self::close) will follow. Requests are still accepted.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Returns `true` once the limit is draining or closed.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst) || self.is_closed()
    }

    /// Returns the number of requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        (self.capacity as usize).saturating_sub(self.permits.available_permits())
    }

    /// Rejects all further requests.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until no request is in flight.
    pub(crate) async fn drained(&self) {
        // The semaphore itself is never closed, so this cannot fail.
        let _ = self.permits.acquire_many(self.capacity).await;
    }
}
