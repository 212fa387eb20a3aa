//! A pool of read-only connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use blocking::unblock;
use crm_chat_domain::StoreError;
use crm_chat_sqlite_file::DatabaseFile;
use rusqlite::Connection;

/// The maximum number of connections.
///
/// Each keeps file descriptors and a page cache, so the number is limited. A read beyond it waits.
const MAX_CONNECTIONS: usize = 4;

/// A connection in the shape of the one that writes, so that a transaction can own either.
type SharedConnection = Arc<async_lock::Mutex<Connection>>;

/// The file of a store, and read-only connections to it, which are opened on demand and kept.
#[derive(Debug)]
pub(crate) struct ReaderPool {
    file: DatabaseFile,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<SharedConnection>>,
}

/// The right to use a connection of the pool. Dropping it frees the permit only: the connection is
/// closed unless it was [released](Self::release).
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<ReaderPool>,
    _permit: SemaphoreGuardArc,
}

impl ReaderPool {
    pub(crate) fn new(file: DatabaseFile) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Arc::new(Self { file, permits, idle: Mutex::default() })
    }

    pub(crate) const fn file(&self) -> &DatabaseFile {
        &self.file
    }

    /// Waits for a permit, then takes an idle connection or opens one.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<(SharedConnection, Lease), StoreError> {
        let lease = Lease { _permit: self.permits.acquire_arc().await, pool: Arc::clone(self) };
        let idle = self.idle().pop();
        if let Some(connection) = idle {
            return Ok((connection, lease));
        }
        let pool = Arc::clone(self);
        // No busy timeout: a transaction waits asynchronously instead.
        let opened = unblock(move || pool.file.open_reader(Duration::ZERO)).await?;
        Ok((Arc::new(async_lock::Mutex::new(opened)), lease))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SharedConnection>> {
        // A push or a pop that panics leaves the list intact.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Returns a connection to the pool.
    pub(crate) fn release(&self, connection: &SharedConnection) {
        self.pool.idle().push(Arc::clone(connection));
    }
}
