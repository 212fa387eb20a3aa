//! The limit on open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files that are open besides accepted connections: those of the store, the
/// credentials, the log and the runtime, and up to 64 connections that are being refused.
const RESERVED: u64 = 128;

/// Raises the soft limit on open files to the hard limit. Logs a warning if that is still too low
/// for the connections that the server accepts.
pub(super) fn raise_limit(max_connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut limit = current;
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = maximum,
            Err(error) => tracing::warn!(%error, "cannot raise the limit on open files"),
        }
    }
    // `None` means that there is no limit.
    let Some(limit) = limit else { return };
    if limit < max_connections as u64 + RESERVED {
        tracing::warn!(
            limit,
            connections = limit.saturating_sub(RESERVED),
            max_connections,
            "the limit on open files allows fewer connections than the server accepts; \
             raise the hard limit (`ulimit -Hn`, or systemd's `LimitNOFILE`)"
        );
    }
}
