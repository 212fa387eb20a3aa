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

/// A handle to a store in memory. Its clones share the store.
///
/// One lock serialises everything. A transaction holds it from `begin` until it ends; meanwhile,
/// another `begin` waits without blocking a thread. Its transactions therefore never conflict.
///
/// ```
/// use crm_chat_domain::Edit;
/// use crm_chat_memory::Memory;
///
/// # futures_lite::future::block_on(async {
/// let store = Memory::new();
/// let other_handle = store.clone();
/// store.edit(&Edit::AddChat { chat: 8773.try_into()? }).await?;
/// assert_eq!(other_handle.dump().await.chats.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    world: Arc<Mutex<World>>,
}

impl Memory {
    /// Returns an empty store in which the messenger is installed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the whole state by a snapshot, and numbers its log from 1.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if the snapshot is not valid. The store keeps its previous state.
    pub async fn load(&self, snapshot: &Snapshot) -> Result<(), LoadError> {
        snapshot.validate()?;
        *self.world.lock().await = World::from(snapshot);
        Ok(())
    }

    /// Returns the whole state as a snapshot, [sorted](Snapshot::sort).
    pub async fn dump(&self) -> Snapshot {
        Snapshot::from(&*self.world.lock().await)
    }

    /// Makes an edit.
    ///
    /// # Errors
    /// [`EditError::Rejected`] if the edit refers to something unknown. Nothing was changed.
    pub async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        Ok(edit::apply(&mut *self.world.lock().await, edit)?)
    }

    /// Returns up to `limit` records of the removal log that are numbered above `after`, lowest
    /// first. Pass 0 to start at the first record.
    pub async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry> {
        let world = self.world.lock().await;
        // Records are numbered from 1 without gaps: the one numbered `after + 1` is at index
        // `after`.
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
