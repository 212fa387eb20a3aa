//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of open files besides connections: those of the stores, the log and the runtime, and
/// the up to 64 connections that are being refused.
const RESERVED: u64 = 128;

/// Raises the soft limit of open files to the hard one. Logs a warning if even that allows fewer
/// connections than the server accepts.
pub(super) fn raise_limit(max_connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut limit = current;
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = maximum,
            Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
        }
    }
    // `None` is no limit.
    let Some(limit) = limit else { return };
    if limit < max_connections as u64 + RESERVED {
        tracing::warn!(
            limit,
            connections = limit.saturating_sub(RESERVED),
            max_connections,
            "the limit of open files allows fewer connections than the server accepts; \
             raise the hard limit (`ulimit -Hn`, or systemd's `LimitNOFILE`)"
        );
    }
}
