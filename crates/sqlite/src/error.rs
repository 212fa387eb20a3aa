//! What SQLite's errors mean.

use std::borrow::Cow;
use std::fmt;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::ffi::SQLITE_READONLY_DIRECTORY;
use rusqlite::{Error, ErrorCode};

/// Returns the function that turns SQLite's error at `operation` into the store's.
pub(crate) fn failed(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(Error) -> StoreError {
    |error| StoreError::new(kind(&error), operation).with_source(Cause(error))
}

/// Turns the error of a COMMIT into the store's.
///
/// If the disk failed, the commit may have reached it and be found there after a restart. Whatever else fails, fails
/// before the transaction's last frame is written, and the session rolls back.
pub(crate) fn commit_failed(error: Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => StoreErrorKind::OutcomeUnknown,
        _ => kind(&error),
    };
    StoreError::new(kind, "commit a transaction").with_source(Cause(error))
}

/// SQLite's error in one line, with what a person can do about it.
#[derive(Debug)]
struct Cause(Error);

impl std::error::Error for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error::SqliteFailure(error, _) = &self.0 else {
            return write!(f, "{}", self.0);
        };
        let code = error.extended_code;
        match (error.code, code) {
            (_, SQLITE_READONLY_DIRECTORY) => {
                f.write_str("its folder cannot be written, and the journal lies beside the file")
            }
            (ErrorCode::CannotOpen, _) => {
                write!(
                    f,
                    "SQLite cannot open it (code {code}): is its folder there, and can it be written?"
                )
            }
            (ErrorCode::DiskFull, _) => write!(
                f,
                "the disk is full (code {code}): free some space and try again"
            ),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                write!(
                    f,
                    "{} (code {code}): the file is damaged, restore a backup",
                    self.0
                )
            }
            _ => write!(f, "{} (code {code})", self.0),
        }
    }
}

/// Makes the error for stored data that break the store's own rules.
pub(crate) fn corrupt(table: &str, key: impl fmt::Display, problem: String) -> StoreError {
    let operation = format!("read table `{table}`, key {key}");
    StoreError::new(StoreErrorKind::Corrupt, operation).with_source(problem)
}

/// Tells whether somebody else holds a lock.
pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn kind(error: &Error) -> StoreErrorKind {
    match error {
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => StoreErrorKind::Corrupt,
        _ => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory,
            ) => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Other,
        },
    }
}
