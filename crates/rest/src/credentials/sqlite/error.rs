//! What SQLite's errors mean.

use std::fmt;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::{Error, ErrorCode};

/// Returns the function that turns SQLite's error at `operation` into the store's.
pub(super) fn failed(operation: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| StoreError::new(kind(&error), operation).with_source(error)
}

/// As [`failed`], for what commits: if the disk failed, the change may be found there after a restart.
pub(super) fn write_failed(operation: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure) => StoreErrorKind::OutcomeUnknown,
            _ => kind(&error),
        };
        StoreError::new(kind, operation).with_source(error)
    }
}

/// Makes the error for stored data that break the store's own rules.
pub(super) fn corrupt(table: &str, key: i64, problem: impl Into<String>) -> StoreError {
    let operation = format!("read table `{table}`, key {key}");
    StoreError::new(StoreErrorKind::Corrupt, operation).with_source(problem.into())
}

/// Makes the error for a file that is somebody else's or not yet known.
pub(super) fn unsupported(problem: impl fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, "use the database")
        .with_source(problem.to_string())
}

/// Tells whether somebody else holds a lock.
pub(super) fn is_busy(error: &Error) -> bool {
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
