//! An open SQLite transaction that owns its connection.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_lock::{Mutex, MutexGuardArc};
use crm_chat_domain::{StoreError, StoreErrorKind};
use futures_lite::future;
use rusqlite::Connection;

use crate::error::{self, failed};

/// The connection, with a transaction open on it. Dropping it rolls back.
///
/// `rusqlite::Transaction` borrows its connection, so it cannot be owned by a transaction that outlives a function.
#[derive(Debug)]
pub(crate) struct Session {
    connection: MutexGuardArc<Connection>,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Only for the handle's connection: what is read is one state of the file, while others write.
    ForConnection,
    /// For the connection and the file's write lock.
    ForWriting,
}

impl Wait {
    const fn begin(self) -> &'static str {
        match self {
            Self::ForConnection => "BEGIN",
            // A read followed by a write in a deferred transaction fails with SQLITE_BUSY when another writer got in
            // between. Taking the lock first also makes every removal serialisable.
            Self::ForWriting => "BEGIN IMMEDIATE",
        }
    }
}

/// How long to sleep between two attempts to take the file's lock: SQLite cannot tell when it gets free.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
];

impl Session {
    /// Begins a transaction, and waits for it no longer than `timeout`, without blocking a thread.
    pub(crate) async fn begin(
        connection: &Arc<Mutex<Connection>>,
        timeout: Duration,
        wait: Wait,
    ) -> Result<Self, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        let locked = async { Some(connection.lock_arc().await) };
        let expired = async {
            match deadline {
                Some(deadline) => Timer::at(deadline).await,
                None => future::pending().await,
            };
            None
        };
        // The session exists before BEGIN is sent: whenever this future is dropped, the session rolls back.
        let session = Self {
            connection: future::or(locked, expired)
                .await
                .ok_or_else(|| waited(timeout))?,
        };
        for attempt in 0.. {
            match session.execute_batch(wait.begin()) {
                Err(error) if error::is_busy(&error) => {}
                result => {
                    result.map_err(failed(BEGIN))?;
                    return Ok(session);
                }
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            Timer::after(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
        }
        Err(waited(timeout))
    }

    /// Commits. Waits for the disk if anything was written.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.execute_batch("COMMIT").map_err(error::commit_failed)
    }

    /// Rolls back.
    pub(crate) fn rollback(self) -> Result<(), StoreError> {
        self.execute_batch("ROLLBACK")
            .map_err(failed("roll back a transaction"))
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
            // There is nobody to tell. If it fails, so does the next BEGIN on the connection, and that tells.
            let _ = self.execute_batch("ROLLBACK");
        }
    }
}

const BEGIN: &str = "begin a transaction";

fn waited(timeout: Duration) -> StoreError {
    let source = format!("another transaction held the store for longer than {timeout:?}");
    StoreError::new(StoreErrorKind::Unavailable, BEGIN).with_source(source)
}

#[cfg(test)]
mod tests {
    use crm_chat_domain::Store;
    use futures_lite::future::block_on;

    use crate::Sqlite;

    /// As if the rollback of the one before had failed.
    #[test]
    fn a_transaction_left_open_is_told_by_the_next_which_ends_it() {
        block_on(async {
            let store = Sqlite::open_in_memory().await.unwrap();
            let connection = store.connection.lock().await;
            connection.execute_batch("BEGIN").unwrap();
            drop(connection);
            let error = store.begin().await.err().unwrap();
            let told = "cannot begin a transaction: unexpected failure: cannot start a transaction within a transaction (code 1)";
            assert_eq!(error.report(), told);
            assert!(store.begin().await.is_ok());
        });
    }
}
