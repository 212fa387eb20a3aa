//! A pool of connections that only read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use blocking::unblock;
use crm_chat_domain::StoreError;
use crm_chat_sqlite_file::DatabaseFile;
use rusqlite::Connection;

/// The most connections that read at once.
const MOST: usize = 4;

type Shared = Arc<async_lock::Mutex<Connection>>;

/// A store's file, and connections to it that cannot write. They are opened on demand and kept.
#[derive(Debug)]
pub(crate) struct Readers {
    file: DatabaseFile,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Shared>>,
}

/// The right to one of the connections, and the pool to which it goes back.
#[derive(Debug)]
pub(crate) struct Loan {
    pool: Arc<Readers>,
    _permit: SemaphoreGuardArc,
}

impl Readers {
    pub(crate) fn new(file: DatabaseFile) -> Arc<Self> {
        Arc::new(Self { file, permits: Arc::new(Semaphore::new(MOST)), idle: Mutex::default() })
    }

    pub(crate) const fn file(&self) -> &DatabaseFile {
        &self.file
    }

    /// Takes an idle connection or opens one, once fewer than the most are in use.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<(Shared, Loan), StoreError> {
        let loan = Loan { _permit: self.permits.acquire_arc().await, pool: Arc::clone(self) };
        let idle = self.idle().pop();
        if let Some(connection) = idle {
            return Ok((connection, loan));
        }
        let pool = Arc::clone(self);
        // Without a busy timeout: a session waits asynchronously.
        let opened = unblock(move || pool.file.open_reader(Duration::ZERO)).await?;
        Ok((Arc::new(async_lock::Mutex::new(opened)), loan))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Shared>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    /// Puts a connection back.
    pub(crate) fn give_back(&self, connection: &Shared) {
        self.pool.idle().push(Arc::clone(connection));
    }
}
