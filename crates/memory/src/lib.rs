#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod edit;
mod snapshot;
mod transaction;
mod world;

use std::sync::Arc;

use async_lock::Mutex;
use crm_chat_domain::snapshot::{EditError, LoadError};
use crm_chat_domain::{Edit, LogEntry, Snapshot, Store, StoreError};

pub use transaction::MemoryTransaction;
use world::World;

/// A store in memory. A handle: its clones are the same store.
///
/// One lock serialises everything: a transaction holds it from `begin` to its end, and whoever else begins waits
/// without blocking a thread.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    world: Arc<Mutex<World>>,
}

impl Memory {
    /// Makes an empty store in which the messenger is installed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces everything by a snapshot, and numbers its log from 1.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the snapshot breaks a rule. The store holds what it held before.
    pub async fn load(&self, snapshot: &Snapshot) -> Result<(), LoadError> {
        snapshot.validate()?;
        *self.world.lock().await = World::from(snapshot);
        Ok(())
    }

    /// Returns everything as a snapshot, [sorted](Snapshot::sort).
    pub async fn dump(&self) -> Snapshot {
        Snapshot::from(&*self.world.lock().await)
    }

    /// Makes a single change.
    ///
    /// # Errors
    /// [`EditError::Rejected`] if it names what is not there. Nothing was changed.
    pub async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        Ok(edit::apply(&mut *self.world.lock().await, edit)?)
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`, lowest first. 0 is below all.
    pub async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry> {
        let world = self.world.lock().await;
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let records = world.log.iter().copied().skip(skipped).take(limit);
        (after.saturating_add(1)..)
            .zip(records)
            .map(|(sequence, record)| LogEntry { sequence, record })
            .collect()
    }
}

impl Store for Memory {
    type Tx = MemoryTransaction;

    async fn begin(&self) -> Result<MemoryTransaction, StoreError> {
        Ok(MemoryTransaction::new(self.world.lock_arc().await))
    }
}
