//! Memory and SQLite give the same answers, and end in the same snapshot.

use crm_chat_conformance::state_machine::two_backends_agree;
use crm_chat_conformance::{Harness, by_own_methods};
use crm_chat_domain::Snapshot;
use crm_chat_memory::Memory;
use crm_chat_sqlite::Sqlite;

struct InMemory;

impl Harness for InMemory {
    type Place = Memory;
    by_own_methods!(Memory);

    async fn create(&self, world: &Snapshot) -> Memory {
        let memory = Memory::new();
        memory.load(world).await.unwrap();
        memory
    }

    async fn connect(&self, place: &Memory) -> Memory {
        place.clone()
    }
}

/// A private database for each store: a long run writes no file.
struct InPrivate;

impl Harness for InPrivate {
    type Place = Sqlite;
    by_own_methods!(Sqlite);

    async fn create(&self, world: &Snapshot) -> Sqlite {
        let store = Sqlite::open_in_memory().await.unwrap();
        store.load(world.clone()).await.unwrap();
        store
    }

    async fn connect(&self, place: &Sqlite) -> Sqlite {
        place.clone()
    }
}

#[test]
fn memory_and_sqlite_agree() {
    two_backends_agree(&InMemory, &InPrivate);
}
