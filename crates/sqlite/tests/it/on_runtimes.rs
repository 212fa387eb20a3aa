//! The conformance suite on async runtimes. [`conformance`](crate::conformance) uses a bare
//! `block_on`.

use std::sync::LazyLock;

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

use crate::conformance::InAFile;

trait Runtime: Send + Sync + 'static {
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// A harness that runs its futures on a runtime.
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

/// The multi-threaded runtime of tokio. The timers of the store are not tokio's; they run on a
/// thread of `async-io`.
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

/// The `block_on` of smol, which drives the timers on the waiting thread.
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
