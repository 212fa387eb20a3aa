//! A SQLite transaction that owns its connection.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_lock::MutexGuardArc;
use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_sqlite_file::{ResultExt, is_busy};
use futures_lite::future;
use rusqlite::Connection;

use crate::Sqlite;
use crate::reader_pool::Lease;
use crate::schema::SCHEMA;

/// A connection with an open transaction. Dropping it rolls back.
///
/// `rusqlite::Transaction` borrows its connection, so a value that outlives the function in which
/// it was begun cannot hold one.
#[derive(Debug)]
pub(crate) struct OwnedTransaction {
    connection: MutexGuardArc<Connection>,
    /// `None` for the connection that writes.
    lease: Option<Lease>,
}

/// The mode of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionMode {
    /// Reads one state of the store while others write.
    Read,
    /// Holds the write lock of the file from the beginning.
    Write,
}

/// The delays between attempts to take the lock of the file. SQLite does not notify waiters when
/// the lock becomes free, so they have to poll.
const POLL_DELAYS: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(5), MAX_POLL_DELAY];

/// The longest of the delays.
pub(crate) const MAX_POLL_DELAY: Duration = Duration::from_millis(10);

impl OwnedTransaction {
    /// Begins a transaction. Waits up to the lock timeout of the store, without blocking a thread.
    ///
    /// # Errors
    /// *unavailable* if the wait timed out or the file was replaced, *unsupported* if a newer
    /// program has migrated it.
    pub(crate) async fn begin(store: &Sqlite, mode: TransactionMode) -> Result<Self, StoreError> {
        let deadline = Deadline::after(store.lock_timeout);
        // Create the transaction before sending BEGIN: if this future is dropped in between, the
        // drop of the transaction rolls back whatever BEGIN has started.
        let transaction = deadline.limit(Self::connect(store, mode)).await?;
        let begin = match mode {
            TransactionMode::Read => "BEGIN",
            // A deferred transaction that reads and then writes fails with SQLITE_BUSY if another
            // writer committed in between. Taking the lock first also serialises removals.
            TransactionMode::Write => "BEGIN IMMEDIATE",
        };
        let begin = |connection: &Connection| connection.execute_batch(begin);
        let (transaction, ()) = deadline.retry_while_busy(transaction, begin).await?;
        // Check the version in each transaction, because a newer program may have migrated the file
        // in the meantime. In a deferred transaction this is the first read, so it takes the
        // snapshot, and it is busy while another process recovers the file after a crash.
        let check = |connection: &Connection| SCHEMA.check_version(connection);
        let (transaction, checked) = deadline.retry_while_busy(transaction, check).await?;
        checked?;
        // Check this after taking the lock: the file may have been replaced during the wait.
        if let Some(pool) = &store.readers {
            pool.file().verify()?;
        }
        Ok(transaction)
    }

    /// Waits for a connection that suits the mode.
    async fn connect(store: &Sqlite, mode: TransactionMode) -> Result<Self, StoreError> {
        let (connection, lease) = match (mode, &store.readers) {
            (TransactionMode::Read, Some(pool)) => {
                let (connection, lease) = pool.acquire().await?;
                (connection, Some(lease))
            }
            // A database in memory has only one connection.
            _ => (Arc::clone(&store.connection), None),
        };
        Ok(Self { connection: connection.lock_arc().await, lease })
    }

    /// Commits, and waits for the disk if anything was written.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.execute_batch("COMMIT").commit_context("commit a transaction")
    }

    pub(crate) fn rollback(self) -> Result<(), StoreError> {
        self.execute_batch("ROLLBACK").context("roll back a transaction")
    }
}

impl Deref for OwnedTransaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for OwnedTransaction {
    fn drop(&mut self) {
        if !self.is_autocommit() {
            // `drop` cannot report an error. If ROLLBACK fails, the next BEGIN on the connection
            // that writes fails too and reports it.
            let _ = self.execute_batch("ROLLBACK");
        }
        // A connection that could not leave its transaction is closed instead of reused.
        if let Some(lease) = &self.lease
            && self.is_autocommit()
        {
            lease.release(MutexGuardArc::source(&self.connection));
        }
    }
}

/// The end of the wait for a connection and for the lock of the file.
struct Deadline {
    timeout: Duration,
    /// `None` if the timeout exceeds the range of the clock.
    instant: Option<Instant>,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { timeout, instant: Instant::now().checked_add(timeout) }
    }

    /// Awaits a future, but no longer than the deadline.
    async fn limit<T>(
        &self,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let expired = async {
            match self.instant {
                Some(instant) => Timer::at(instant).await,
                None => future::pending().await,
            };
            Err(self.lock_timeout_error())
        };
        // Polls the future first: it succeeds if it is ready, even after the deadline.
        future::or(future, expired).await
    }

    /// Repeats a step while another connection's lock prevents it.
    ///
    /// Takes the transaction by value and returns it, because a future that holds a reference to a
    /// `Connection` across an await is not `Send`.
    async fn retry_while_busy<T>(
        &self,
        transaction: OwnedTransaction,
        step: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(OwnedTransaction, T), StoreError> {
        for attempt in 0.. {
            match step(&transaction) {
                Err(error) if is_busy(&error) => {}
                result => return Ok((transaction, result.context(BEGIN)?)),
            }
            // Check after the attempt: with a timeout of zero there is still one.
            if self.instant.is_some_and(|instant| instant <= Instant::now()) {
                break;
            }
            Timer::after(POLL_DELAYS[attempt.min(POLL_DELAYS.len() - 1)]).await;
        }
        Err(self.lock_timeout_error())
    }

    fn lock_timeout_error(&self) -> StoreError {
        let problem =
            format!("another transaction held the store for longer than {:?}", self.timeout);
        StoreError::new(StoreErrorKind::Unavailable, BEGIN).with_source(problem)
    }
}

const BEGIN: &str = "begin a transaction";

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crm_chat_domain::Store;
    use futures_lite::future::block_on;
    use rusqlite::ffi;

    use super::*;

    /// Simulates a transaction whose rollback failed.
    #[test]
    fn leftover_transaction_is_reported_and_ended_by_next_begin() {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            let connection = store.connection.lock().await;
            connection.execute_batch("BEGIN").unwrap();
            drop(connection);
            let error = store.begin().await.err().unwrap();
            let expected = "cannot begin a transaction: unexpected failure: cannot start a \
                            transaction within a transaction (code 1)";
            assert_eq!(error.report(), expected);
            assert!(store.begin().await.is_ok());
        });
    }

    /// A recovery after a crash takes a moment. The BEGIN of a read takes no lock, so the first
    /// read is what has to wait.
    #[test]
    fn first_read_of_a_transaction_waits_for_recovery() {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            for (timeout, attempts) in [(Duration::from_secs(5), Some(3)), (Duration::ZERO, None)] {
                let deadline = Deadline::after(timeout);
                let transaction =
                    OwnedTransaction::connect(&store, TransactionMode::Read).await.unwrap();
                let attempt = Cell::new(0);
                let read = |_: &Connection| {
                    attempt.set(attempt.get() + 1);
                    if attempt.get() < 3 {
                        let busy = ffi::Error::new(ffi::SQLITE_BUSY_RECOVERY);
                        return Err(rusqlite::Error::SqliteFailure(busy, None));
                    }
                    Ok(attempt.get())
                };
                let result = deadline.retry_while_busy(transaction, read).await;
                match attempts {
                    Some(expected) => assert_eq!(result.unwrap().1, expected),
                    None => assert_eq!(result.unwrap_err().kind(), StoreErrorKind::Unavailable),
                }
            }
        });
    }

    #[test]
    fn connection_of_a_dropped_read_is_reused() {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let store = Sqlite::open(directory.path().join("store.db")).await.unwrap();
            let transaction = OwnedTransaction::begin(&store, TransactionMode::Read).await.unwrap();
            transaction.pragma_update(None, "cache_size", 77).unwrap();
            drop(transaction);
            let transaction = OwnedTransaction::begin(&store, TransactionMode::Read).await.unwrap();
            let size = transaction.pragma_query_value(None, "cache_size", |row| row.get(0));
            assert_eq!(size, Ok(77));
        });
    }
}
