//! The whole suite on other runtimes than the bare `block_on` of [`conformance`](crate::conformance).

use std::sync::LazyLock;

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

use crate::conformance::InAFile;

trait Runtime: Send + Sync + 'static {
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// The harness whose futures a runtime runs.
struct On<R>(R);

impl<R: Runtime> Harness for On<R> {
    type Fixture = TempDir;
    by_own_methods!(Sqlite);

    async fn set_up(&self, world: &Snapshot) -> TempDir {
        InAFile.set_up(world).await
    }

    async fn connect(&self, fixture: &TempDir) -> Sqlite {
        InAFile.connect(fixture).await
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// Its multi-threaded runtime. SQLite's timers are not its own: they need a thread beside it.
struct Tokio;

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.build().unwrap()
});

impl Runtime for Tokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        TOKIO.block_on(future)
    }
}

/// The thread that waits drives the timers itself.
struct Smol;

impl Runtime for Smol {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(future)
    }
}

mod tokio_multi_thread {
    use super::*;

    conformance_tests!(On(Tokio));
}

mod smol_block_on {
    use super::*;

    conformance_tests!(On(Smol));
}
