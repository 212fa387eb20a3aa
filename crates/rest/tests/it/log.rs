//! Captures the log of a test.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;

/// The captured log of one thread, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Installs a global subscriber that accepts and discards everything.
///
/// Tests must call it before they log. Otherwise `tracing` may cache that an event is disabled, if
/// a thread without a subscriber logs the event for the first time while another thread starts to
/// capture its log.
pub(crate) fn enable_all_events() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let installed = tracing::subscriber::set_global_default(Registry::default());
        installed.expect("no other global subscriber");
    });
}

impl Log {
    /// Captures the log of this thread until the guard is dropped.
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        enable_all_events();
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("the lock is not poisoned").clone();
        String::from_utf8(bytes).expect("a log in UTF-8")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the lock is not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
