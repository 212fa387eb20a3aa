//! The whole suite and the properties, with a connection of its own for each handle.

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests, property_tests};
use crm_chat_domain::Snapshot;
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

pub(crate) struct InAFile;

impl Harness for InAFile {
    type Place = TempDir;
    by_own_methods!(Sqlite);
    async fn create(&self, world: &Snapshot) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        let store = self.connect(&place).await;
        store.load(world.clone()).await.unwrap();
        place
    }
    async fn connect(&self, place: &TempDir) -> Sqlite {
        Sqlite::open(place.path().join("store.db")).await.unwrap()
    }
}

conformance_tests!(InAFile);
property_tests!(InAFile);
