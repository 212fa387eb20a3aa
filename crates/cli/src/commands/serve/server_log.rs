//! The server's log on standard error.
//!
//! Each line is copied into a bounded buffer, which a thread writes out. A log that cannot be
//! written therefore neither fails nor delays a request: if its reader stalls or has exited, or if
//! the disk is full, lines are lost and counted.
//!
//! The non-blocking writer of `tracing-appender` is similar, but when it is dropped it reports a
//! timeout by `eprintln!`, which blocks or panics in just the situations that this module is for.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// The capacity of the buffer in bytes, which is some thousand lines.
const CAPACITY: usize = 1 << 20;

/// The time that the program waits on exit for the last lines to be written.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before another write to a non-blocking descriptor that is full.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// The level of detail of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

/// The log of the process. Dropping it waits until the pending lines are written, for at most
/// [`EXIT_TIMEOUT`].
pub(super) struct ServerLog(Arc<LineBuffer>);

impl ServerLog {
    /// Directs events and panics of this process to standard error, through the buffer.
    ///
    /// # Errors
    /// [`io::Error`] if the writing thread cannot be started.
    pub(super) fn start(level: LogLevel) -> io::Result<Self> {
        // A descriptor of its own: a write that blocks must not hold the lock of `io::stderr()`.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let buffer = Arc::new(LineBuffer::default());
        let written = Arc::clone(&buffer);
        thread::Builder::new().name("log".to_owned()).spawn(move || written.write_to(out))?;
        tracing_subscriber::fmt()
            .with_writer(BufferWriter(Arc::clone(&buffer)))
            .with_max_level(Level::from(level))
            .with_ansi(false)
            // They would go to standard error by `eprintln!`, which panics if it fails.
            .log_internal_errors(false)
            .init();
        // The default hook writes to standard error itself, which can block.
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
        Ok(Self(buffer))
    }

    /// Returns a function that returns the number of lines lost so far.
    pub(super) fn lost_lines(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let buffer = Arc::clone(&self.0);
        move || buffer.lost.load(Ordering::Relaxed)
    }
}

impl Drop for ServerLog {
    fn drop(&mut self) {
        self.0.wait_until_written(EXIT_TIMEOUT);
    }
}

/// A bounded buffer of lines that have not been written yet.
#[derive(Default)]
struct LineBuffer {
    state: Mutex<BufferState>,
    /// Notified when lines are added, and when all of them have been written.
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct BufferState {
    pending: Vec<u8>,
    /// `true` while lines that were taken from `pending` are being written.
    writing: bool,
}

impl LineBuffer {
    /// Adds whole lines, or drops and counts them if the buffer is full.
    fn add(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.pending.len() + lines.len() > CAPACITY {
            drop(state);
            self.count_lost(lines);
        } else {
            state.pending.extend_from_slice(lines);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Writes lines as they are added, until the process ends.
    fn write_to(&self, mut out: impl Write) {
        let mut chunk = Vec::new();
        let mut reported = 0;
        loop {
            self.take_pending(&mut chunk);
            let (written, result) = write_fully(&mut out, &chunk);
            self.count_lost(&chunk[written..]);
            let lost = self.lost.load(Ordering::Relaxed);
            // While writing fails, a report would be lost too.
            if result.is_ok() && lost > reported {
                reported = lost;
                tracing::warn!(lost, "log lines were lost");
            }
        }
    }

    /// Waits for pending lines and moves them into `chunk`, whose content has been written.
    fn take_pending(&self, chunk: &mut Vec<u8>) {
        chunk.clear();
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.pending.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        // A swap, so that the two allocations are reused.
        std::mem::swap(chunk, &mut state.pending);
        state.writing = true;
    }

    fn wait_until_written(&self, timeout: Duration) {
        let unwritten = |state: &mut BufferState| state.writing || !state.pending.is_empty();
        // Lines that are not written by then are lost with the process.
        let _ = self.changed.wait_timeout_while(self.lock(), timeout, unwritten);
    }

    /// Counts the lines that end within some lost bytes.
    fn count_lost(&self, bytes: &[u8]) {
        let lines = bytes.split(|byte| *byte == b'\n').skip(1).count();
        self.lost.fetch_add(lines as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BufferState> {
        // The lock is never held where a panic could leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all bytes, or as many as can be written. Returns the number of bytes written, and the
/// error that prevented the rest.
fn write_fully(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Standard error may be shared with a process that made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_PAUSE),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// A writer for the subscriber, which adds lines to a buffer.
struct BufferWriter(Arc<LineBuffer>);

impl<'a> MakeWriter<'a> for BufferWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &BufferWriter {
    /// Adds one event, which the subscriber writes by a single call. Never fails.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
