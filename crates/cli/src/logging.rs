//! The server's log on standard error.
//!
//! A line is copied into a bounded buffer, and a thread writes the buffer out. So a log that cannot
//! be written neither fails nor delays a request: a reader that stalls, a reader that has left and
//! a full disk cost log lines, which are counted.
//!
//! The writer of `tracing-appender` would do but for its end: there it reports a timeout by
//! `eprintln!`, which blocks or panics in the very situations that this module is for.

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

/// The most bytes of lines that wait to be written: some thousand lines.
const CAPACITY: usize = 1 << 20;

/// The longest time that the program waits at its end for the last lines to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before writing again to a descriptor that is non-blocking and full.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// The level of detail of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
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

/// The program's log. Dropping it writes what still waits, for a bounded time.
pub(crate) struct Log(Arc<Buffer>);

impl Log {
    /// Makes standard error the log of this process, for panics too.
    ///
    /// # Errors
    /// [`io::Error`] if the thread that writes cannot be started.
    pub(crate) fn start(level: LogLevel) -> io::Result<Self> {
        // A descriptor of its own: a write that blocks must not hold the lock of `io::stderr()`.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let buffer = Arc::new(Buffer::default());
        let writing = Arc::clone(&buffer);
        thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_to(out))?;
        tracing_subscriber::fmt()
            .with_writer(Lines(Arc::clone(&buffer)))
            .with_max_level(Level::from(level))
            .with_ansi(false)
            // They would be printed to standard error, which panics if it fails.
            .log_internal_errors(false)
            .init();
        // The default hook writes to standard error itself, and so may block.
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
        Ok(Self(buffer))
    }

    /// Returns a function that counts the lines lost so far.
    pub(crate) fn lost_lines(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let buffer = Arc::clone(&self.0);
        move || buffer.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.wait_until_written(CLOSE_TIMEOUT);
    }
}

/// Lines on their way to the thread that writes.
#[derive(Default)]
struct Buffer {
    state: Mutex<State>,
    /// Notified when lines arrive, and when all of them are written.
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
}

impl Buffer {
    /// Adds whole lines, or drops and counts them if the buffer is full.
    fn add(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + lines.len() > CAPACITY {
            drop(state);
            self.lose(lines);
        } else {
            state.waiting.extend_from_slice(lines);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Writes lines as they arrive, until the process ends.
    fn write_to(&self, mut out: impl Write) {
        let mut chunk = Vec::new();
        let mut reported = 0;
        loop {
            self.take(&mut chunk);
            let (written, result) = write(&mut out, &chunk);
            self.lose(&chunk[written..]);
            let lost = self.lost.load(Ordering::Relaxed);
            if result.is_ok() && lost > reported {
                reported = lost;
                tracing::warn!(lost, "log lines were lost");
            }
        }
    }

    /// Replaces the chunk, which is done with, by the lines that wait; waits for some.
    fn take(&self, chunk: &mut Vec<u8>) {
        chunk.clear();
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(chunk, &mut state.waiting);
        state.writing = true;
    }

    fn wait_until_written(&self, timeout: Duration) {
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        // What is not written by then is lost with the process.
        let _ = self.changed.wait_timeout_while(self.lock(), timeout, unwritten);
    }

    fn lose(&self, lines: &[u8]) {
        let count = lines.split(|byte| *byte == b'\n').skip(1).count();
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The lock is never held where a panic could leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes as much as can be written; returns how many bytes that was, and why there were no more.
fn write(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
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

/// Hands whole lines to a buffer.
struct Lines(Arc<Buffer>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    /// Takes one event, which the subscriber writes at once. It never fails.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
