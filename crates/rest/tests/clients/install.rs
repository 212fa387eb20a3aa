//! Installs the packages that a client needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::clients;

/// Serializes installations, because the system's package manager allows only one at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs the packages of a kind of client. Returns their directory, or `None` to skip the test.
///
/// # Panics
/// If the packages cannot be installed and `CI` is `true`.
pub(crate) fn packages(kind: &str) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rest-clients");
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let output =
        Command::new(clients().join("install")).arg(kind).arg(&directory).output().unwrap();
    if output.status.success() {
        return Some(directory);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = format!("the packages for `{kind}` cannot be installed: {}", stderr.trim());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("skipped: {message}");
    None
}
