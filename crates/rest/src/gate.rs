//! How many calls are let in, and when none is any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::Failure;

/// Lets in a bounded number of calls at a time, and none once it is closed. A handle.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    capacity: u32,
    draining: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        Self {
            places: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            draining: Arc::default(),
            closed: Arc::default(),
        }
    }

    /// Takes a place until the permit is dropped; never waits for one.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        // Asked after the place was taken: a call is either refused, or seen by who waits until all are done.
        if self.is_closed() {
            return Err(Failure::Stopping);
        }
        place.map_err(|_| Failure::Overloaded)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Announces that the gate will be closed.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Returns whether the gate will be closed, or is.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst) || self.is_closed()
    }

    /// Returns how many calls are inside.
    pub(crate) fn inside(&self) -> usize {
        (self.capacity as usize).saturating_sub(self.places.available_permits())
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until nobody is inside.
    pub(crate) async fn empty(&self) {
        // The semaphore is never closed.
        let _ = self.places.acquire_many(self.capacity).await;
    }
}
