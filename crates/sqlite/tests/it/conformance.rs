//! The conformance suite and the properties, with separate connections for each handle.

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests, property_tests};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

pub(crate) struct InAFile;

impl Harness for InAFile {
    type Fixture = TempDir;
    by_own_methods!(Sqlite);
    async fn set_up(&self, world: &Snapshot) -> TempDir {
        let fixture = tempfile::tempdir().unwrap();
        let store = self.connect(&fixture).await;
        store.load(world.clone()).await.unwrap();
        fixture
    }
    async fn connect(&self, fixture: &TempDir) -> Sqlite {
        Sqlite::open(fixture.path().join("store.db")).await.unwrap()
    }
}

conformance_tests!(InAFile);
property_tests!(InAFile);
