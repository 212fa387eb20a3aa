//! The limit on open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files that are open besides accepted connections: those of the store, the
/// credentials, the log and the runtime, and up to 64 connections that are being refused.
const RESERVED: u64 = 128;

/// Raises the soft limit on open files to the hard limit. Returns the number of connections that
/// the limit allows, `max_connections` at most, and logs a warning if it is lower.
///
/// Connections beyond it are refused at once. If files ran out instead, new connections would wait
/// until others are closed, and the store could not open its own.
pub(super) fn raise_limit(max_connections: usize) -> usize {
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
    let Some(limit) = limit else { return max_connections };
    let allowed = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX).max(1);
    if allowed < max_connections {
        tracing::warn!(
            limit,
            connections = allowed,
            max_connections,
            "the limit on open files allows fewer connections than the server accepts; \
             raise the hard limit (`ulimit -Hn`, or systemd's `LimitNOFILE`)"
        );
    }
    allowed.min(max_connections)
}
