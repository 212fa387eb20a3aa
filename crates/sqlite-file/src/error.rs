//! Conversion of SQLite's errors into store errors.

use std::borrow::Cow;
use std::fmt;

use crm_chat_domain::{StoreError, StoreErrorKind};
use rusqlite::ffi::SQLITE_READONLY_DIRECTORY;
use rusqlite::{Error, ErrorCode};

/// Converts SQLite's errors into store errors that name the operation that failed.
pub trait ResultExt<T>: Sized {
    /// Names the operation.
    ///
    /// # Errors
    /// The original error, as a [`StoreError`] of its kind.
    fn context(self, operation: impl Into<Cow<'static, str>>) -> Result<T, StoreError> {
        self.with_context(|| operation)
    }

    /// Names the operation by a text that is built only if it failed.
    ///
    /// # Errors
    /// As for [`context`](Self::context).
    fn with_context<O: Into<Cow<'static, str>>>(
        self,
        operation: impl FnOnce() -> O,
    ) -> Result<T, StoreError>;

    /// Names the operation that a COMMIT completes.
    ///
    /// # Errors
    /// As for [`context`](Self::context), but *outcome unknown* if the commit may have reached the
    /// disk, and may be found there after a restart: if the disk failed, or if memory ran out.
    fn commit_context(self, operation: impl Into<Cow<'static, str>>) -> Result<T, StoreError>;
}

impl<T> ResultExt<T> for Result<T, Error> {
    fn with_context<O: Into<Cow<'static, str>>>(
        self,
        operation: impl FnOnce() -> O,
    ) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::new(kind(&error), operation()).with_source(Cause(error)))
    }

    fn commit_context(self, operation: impl Into<Cow<'static, str>>) -> Result<T, StoreError> {
        self.map_err(|error| {
            StoreError::new(commit_kind(&error), operation).with_source(Cause(error))
        })
    }
}

/// Returns the error for a stored value that is not valid in its column, or for a missing row.
pub fn corrupt(table: &str, key: impl fmt::Display, problem: impl Into<String>) -> StoreError {
    let operation = format!("read table `{table}`, key {key}");
    StoreError::new(StoreErrorKind::Corrupt, operation).with_source(problem.into())
}

/// Checks whether an error means that another connection holds a lock.
#[must_use]
pub fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A SQLite error, displayed in one line with advice where there is any.
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
                f.write_str("its directory is not writable, and the journal must be created in it")
            }
            (ErrorCode::CannotOpen, _) => write!(
                f,
                "SQLite cannot open it (code {code}): does its directory exist, and is it writable?"
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

/// Returns the kind of the error of a COMMIT.
fn commit_kind(error: &Error) -> StoreErrorKind {
    match error.sqlite_error_code() {
        // SQLite registers the frames of a commit in the shared index after it has synced them, and
        // that may allocate. Any other failure occurs before the last frame of the transaction is
        // written.
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => StoreErrorKind::OutcomeUnknown,
        _ => kind(error),
    }
}

/// Returns the kind of the error of any operation but COMMIT.
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
    fn each_error_code_maps_to_its_kind() {
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
    fn commit_outcome_is_unknown_only_if_it_may_be_on_disk() {
        let kind = |code| commit_kind(&error(code));
        assert_eq!(kind(ffi::SQLITE_IOERR_FSYNC), StoreErrorKind::OutcomeUnknown);
        assert_eq!(kind(ffi::SQLITE_NOMEM), StoreErrorKind::OutcomeUnknown);
        assert_eq!(kind(ffi::SQLITE_FULL), StoreErrorKind::Unavailable);
        assert_eq!(kind(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), StoreErrorKind::Other);
    }

    #[test]
    fn only_lock_of_another_connection_is_busy() {
        assert!(is_busy(&error(ffi::SQLITE_BUSY_SNAPSHOT)) && is_busy(&error(ffi::SQLITE_LOCKED)));
        assert!(!is_busy(&error(ffi::SQLITE_IOERR)) && !is_busy(&Error::QueryReturnedNoRows));
    }

    #[test]
    fn cause_gives_advice() {
        for (code, expected) in [
            (
                SQLITE_READONLY_DIRECTORY,
                "its directory is not writable, and the journal must be created in it",
            ),
            (
                ffi::SQLITE_CANTOPEN,
                "SQLite cannot open it (code 14): does its directory exist, and is it writable?",
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
