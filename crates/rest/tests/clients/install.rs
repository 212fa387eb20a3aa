//! Fetches what a client needs to run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::clients;

/// One installation at a time: the system's package manager would refuse a second.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs the packages of a kind of client and returns their folder, or `None` if the test is to
/// be skipped.
///
/// # Panics
/// If they cannot be installed and `CI` is `true`.
pub(crate) fn packages(kind: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rest-clients");
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(clients().join("install")).arg(kind).arg(&folder).output().unwrap();
    if output.status.success() {
        return Some(folder);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let told = format!("the packages for `{kind}` cannot be installed: {}", why.trim());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
    eprintln!("skipped: {told}");
    None
}
