//! The meaning of SQLite's errors.

use std::borrow::Cow;
use std::fmt;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::ffi::SQLITE_READONLY_DIRECTORY;
use rusqlite::{Error, ErrorCode};

/// Returns a function that converts SQLite's error at `operation` into a store's.
pub fn failed(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(Error) -> StoreError {
    |error| StoreError::new(kind(&error), operation).with_source(Cause(error))
}

/// Returns a function that converts the error of the COMMIT of `operation` into a store's.
///
/// If the disk failed, the commit may have reached it and be found there after a restart. So may
/// one that ran out of memory: SQLite registers the frames of a commit in the shared index after it
/// has synced them, and that may allocate. Whatever else fails, fails before the transaction's last
/// frame is written.
pub fn commit_failed(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(Error) -> StoreError {
    |error| {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
                StoreErrorKind::OutcomeUnknown
            }
            _ => kind(&error),
        };
        StoreError::new(kind, operation).with_source(Cause(error))
    }
}

/// Returns the error for stored data that breaks the store's own rules.
pub fn corrupt(table: &str, key: impl fmt::Display, problem: impl Into<String>) -> StoreError {
    let operation = format!("read table `{table}`, key {key}");
    StoreError::new(StoreErrorKind::Corrupt, operation).with_source(problem.into())
}

/// Checks whether an error means that another connection holds a lock.
#[must_use]
pub fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// SQLite's error in one line, with what to do about it.
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
            (ErrorCode::CannotOpen, _) => write!(
                f,
                "SQLite cannot open it (code {code}): is its folder there, and can it be written?"
            ),
            (ErrorCode::DiskFull, _) => {
                write!(f, "the disk is full (code {code}): free some space and try again")
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => write!(
                f,
                "{} (code {code}): the file is damaged, see docs/operating.md on how to restore a \
                 backup",
                self.0
            ),
            _ => write!(f, "{} (code {code})", self.0),
        }
    }
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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn error(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn every_error_has_its_kind() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, StoreErrorKind::Unavailable),
            (ffi::SQLITE_LOCKED, StoreErrorKind::Unavailable),
            (ffi::SQLITE_FULL, StoreErrorKind::Unavailable),
            (ffi::SQLITE_CANTOPEN, StoreErrorKind::Unavailable),
            (ffi::SQLITE_PERM, StoreErrorKind::Unavailable),
            (ffi::SQLITE_READONLY, StoreErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_READ, StoreErrorKind::Unavailable),
            (ffi::SQLITE_PROTOCOL, StoreErrorKind::Unavailable),
            (ffi::SQLITE_NOMEM, StoreErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, StoreErrorKind::Corrupt),
            (ffi::SQLITE_NOTADB, StoreErrorKind::Corrupt),
            (ffi::SQLITE_CONSTRAINT, StoreErrorKind::Other),
        ] {
            assert_eq!(kind(&error(code)), expected, "{code}");
        }
        let null = Error::InvalidColumnType(0, "user".to_owned(), rusqlite::types::Type::Null);
        assert_eq!(kind(&null), StoreErrorKind::Corrupt);
        assert_eq!(kind(&Error::QueryReturnedNoRows), StoreErrorKind::Other);
    }

    #[test]
    fn outcome_of_a_commit_is_unknown_only_if_it_may_be_on_disk() {
        let kind = |code| commit_failed("commit")(error(code)).kind();
        assert_eq!(kind(ffi::SQLITE_IOERR_FSYNC), StoreErrorKind::OutcomeUnknown);
        assert_eq!(kind(ffi::SQLITE_NOMEM), StoreErrorKind::OutcomeUnknown);
        assert_eq!(kind(ffi::SQLITE_FULL), StoreErrorKind::Unavailable);
        assert_eq!(kind(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), StoreErrorKind::Other);
    }

    #[test]
    fn only_a_lock_held_elsewhere_is_busy() {
        assert!(is_busy(&error(ffi::SQLITE_BUSY_SNAPSHOT)) && is_busy(&error(ffi::SQLITE_LOCKED)));
        assert!(!is_busy(&error(ffi::SQLITE_IOERR)) && !is_busy(&Error::QueryReturnedNoRows));
    }

    #[test]
    fn cause_says_what_to_do() {
        for (code, expected) in [
            (
                SQLITE_READONLY_DIRECTORY,
                "its folder cannot be written, and the journal lies beside the file",
            ),
            (
                ffi::SQLITE_CANTOPEN,
                "SQLite cannot open it (code 14): is its folder there, and can it be written?",
            ),
            (ffi::SQLITE_FULL, "the disk is full (code 13): free some space and try again"),
        ] {
            assert_eq!(Cause(error(code)).to_string(), expected);
        }
        for (code, end) in [
            (
                ffi::SQLITE_CORRUPT,
                " (code 11): the file is damaged, see docs/operating.md on how to restore a backup",
            ),
            (
                ffi::SQLITE_NOTADB,
                " (code 26): the file is damaged, see docs/operating.md on how to restore a backup",
            ),
            (ffi::SQLITE_CONSTRAINT, " (code 19)"),
        ] {
            let actual = Cause(error(code)).to_string();
            assert!(actual.ends_with(end) && !actual.starts_with(end), "{actual}");
        }
    }
}
