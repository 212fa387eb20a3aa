//! An open SQLite transaction that owns its connection.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_lock::MutexGuardArc;
use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_sqlite_file::{commit_failed, failed, is_busy};
use futures_lite::future;
use rusqlite::Connection;

use crate::Sqlite;
use crate::readers::Loan;
use crate::schema::SCHEMA;

/// A connection, with a transaction open on it. Dropping it rolls back.
///
/// `rusqlite::Transaction` borrows its connection, so it cannot be owned by a transaction that
/// outlives a function.
#[derive(Debug)]
pub(crate) struct Session {
    connection: MutexGuardArc<Connection>,
    /// Of a connection that comes from the pool.
    loan: Option<Loan>,
}

/// The purpose of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One state of the store is read, while others write.
    Reading,
    /// The file's write lock is held from the beginning.
    Writing,
}

/// The pauses between attempts to take the file's lock: SQLite does not notify when it becomes
/// free.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(5), LONGEST_PAUSE];

/// The longest of the pauses.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(10);

impl Session {
    /// Begins a transaction, and waits for it no longer than the store's lock timeout, without
    /// blocking a thread.
    ///
    /// # Errors
    /// *unavailable* if the wait ran out or the file was replaced, *unsupported* if a newer program
    /// migrated it.
    pub(crate) async fn begin(store: &Sqlite, purpose: Purpose) -> Result<Self, StoreError> {
        let wait = Wait::new(store.lock_timeout);
        // The session exists before BEGIN is sent: whenever this future is dropped, the session
        // rolls back.
        let session = wait.until_ready(Self::connect(store, purpose)).await?;
        let begin = match purpose {
            Purpose::Reading => "BEGIN",
            // A read followed by a write in a deferred transaction fails with SQLITE_BUSY when
            // another writer got in between. Taking the lock first also makes every removal
            // serialisable.
            Purpose::Writing => "BEGIN IMMEDIATE",
        };
        let begin = |connection: &Connection| connection.execute_batch(begin);
        let (session, ()) = wait.until_free(session, begin).await?;
        // The version is checked in each transaction, since a newer program may have migrated the
        // file meanwhile. It is the first read of a deferred transaction, which is what takes the
        // snapshot, and may find the file locked while another process recovers it after a crash.
        let check = |connection: &Connection| SCHEMA.check_version(connection);
        let (session, checked) = wait.until_free(session, check).await?;
        checked?;
        // Once the lock is held: the file may have been replaced while this waited for it.
        if let Some(readers) = &store.readers {
            readers.file().verify()?;
        }
        Ok(session)
    }

    /// Takes the connection for a purpose once it is free.
    async fn connect(store: &Sqlite, purpose: Purpose) -> Result<Self, StoreError> {
        let (connection, loan) = match (purpose, &store.readers) {
            (Purpose::Reading, Some(readers)) => {
                let (connection, loan) = readers.acquire().await?;
                (connection, Some(loan))
            }
            // A database in memory has one connection only.
            _ => (Arc::clone(&store.connection), None),
        };
        Ok(Self { connection: connection.lock_arc().await, loan })
    }

    /// Commits. Waits for the disk if anything was written.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.execute_batch("COMMIT").map_err(commit_failed("commit a transaction"))
    }

    /// Rolls back.
    pub(crate) fn rollback(self) -> Result<(), StoreError> {
        self.execute_batch("ROLLBACK").map_err(failed("roll back a transaction"))
    }
}

impl Deref for Session {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_autocommit() {
            // `drop` cannot report an error. If ROLLBACK fails, the next BEGIN on this connection
            // fails too and reports it; one from the pool is closed instead.
            let _ = self.execute_batch("ROLLBACK");
        }
        if let Some(loan) = &self.loan
            && self.is_autocommit()
        {
            loan.give_back(MutexGuardArc::source(&self.connection));
        }
    }
}

/// A wait for a connection and the file's lock.
struct Wait {
    timeout: Duration,
    /// `None` if it is out of reach.
    deadline: Option<Instant>,
}

impl Wait {
    fn new(timeout: Duration) -> Self {
        Self { timeout, deadline: Instant::now().checked_add(timeout) }
    }

    /// Awaits a future until the deadline.
    async fn until_ready<T>(
        &self,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let expired = async {
            match self.deadline {
                Some(deadline) => Timer::at(deadline).await,
                None => future::pending().await,
            };
            Err(self.expired())
        };
        future::or(future, expired).await
    }

    /// Repeats a step until no other connection's lock is in its way.
    ///
    /// The session is passed through, since a reference to a connection must not be held across an
    /// await.
    async fn until_free<T>(
        &self,
        session: Session,
        step: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Session, T), StoreError> {
        for attempt in 0.. {
            match step(&session) {
                Err(error) if is_busy(&error) => {}
                result => {
                    let result = result.map_err(failed(BEGIN))?;
                    return Ok((session, result));
                }
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            Timer::after(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
        }
        Err(self.expired())
    }

    fn expired(&self) -> StoreError {
        let source =
            format!("another transaction held the store for longer than {:?}", self.timeout);
        StoreError::new(StoreErrorKind::Unavailable, BEGIN).with_source(source)
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

    /// As if the rollback of the one before had failed.
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

    /// A recovery after a crash takes moments, and BEGIN of a read does not wait for it: it takes
    /// no lock yet.
    #[test]
    fn first_read_of_a_transaction_waits_for_a_recovery() {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            for (timeout, attempts) in [(Duration::from_secs(5), Some(3)), (Duration::ZERO, None)] {
                let wait = Wait::new(timeout);
                let session = Session::connect(&store, Purpose::Reading).await.unwrap();
                let attempt = Cell::new(0);
                let read = |_: &Connection| {
                    attempt.set(attempt.get() + 1);
                    if attempt.get() < 3 {
                        let busy = ffi::Error::new(ffi::SQLITE_BUSY_RECOVERY);
                        return Err(rusqlite::Error::SqliteFailure(busy, None));
                    }
                    Ok(attempt.get())
                };
                let read = wait.until_free(session, read).await;
                match attempts {
                    Some(expected) => assert_eq!(read.unwrap().1, expected),
                    None => assert_eq!(read.unwrap_err().kind(), StoreErrorKind::Unavailable),
                }
            }
        });
    }

    #[test]
    fn reader_that_is_dropped_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let store = Sqlite::open(directory.path().join("store.db")).await.unwrap();
            let session = Session::begin(&store, Purpose::Reading).await.unwrap();
            session.pragma_update(None, "cache_size", 77).unwrap();
            drop(session);
            let session = Session::begin(&store, Purpose::Reading).await.unwrap();
            let size = session.pragma_query_value(None, "cache_size", |row| row.get(0));
            assert_eq!(size, Ok(77));
        });
    }
}
