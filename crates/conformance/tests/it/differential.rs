//! Memory and SQLite give the same answers and end in the same state.

use crm_chat_conformance::properties::two_backends_agree;
use crm_chat_conformance::{Harness, by_own_methods};
use crm_chat_domain::Snapshot;
use crm_chat_memory::Memory;
use crm_chat_sqlite::Sqlite;

struct MemoryHarness;

impl Harness for MemoryHarness {
    type Fixture = Memory;
    by_own_methods!(Memory);

    async fn set_up(&self, world: &Snapshot) -> Memory {
        let memory = Memory::new();
        memory.load(world).await.unwrap();
        memory
    }

    async fn connect(&self, fixture: &Memory) -> Memory {
        fixture.clone()
    }
}

/// A database in memory for each store, so that long runs write no files.
struct SqliteHarness;

impl Harness for SqliteHarness {
    type Fixture = Sqlite;
    by_own_methods!(Sqlite);

    async fn set_up(&self, world: &Snapshot) -> Sqlite {
        let store = Sqlite::open_in_memory().await.unwrap();
        store.load(world.clone()).await.unwrap();
        store
    }

    async fn connect(&self, fixture: &Sqlite) -> Sqlite {
        fixture.clone()
    }
}

#[test]
fn memory_and_sqlite_agree() {
    two_backends_agree(&MemoryHarness, &SqliteHarness);
}
