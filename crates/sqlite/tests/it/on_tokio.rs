//! The whole suite on tokio, run by the `block_on` of its multi-threaded runtime.

use std::sync::LazyLock;

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::conformance::InAFile;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_multi_thread().build().unwrap());

struct OnTokio;

impl Harness for OnTokio {
    type Place = TempDir;
    by_own_methods!(Sqlite);

    async fn create(&self, world: &Snapshot) -> TempDir {
        InAFile.create(world).await
    }

    async fn connect(&self, place: &TempDir) -> Sqlite {
        InAFile.connect(place).await
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.block_on(future)
    }
}

conformance_tests!(OnTokio);
