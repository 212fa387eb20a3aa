//! The whole conformance suite, and the property tests.

use crm_chat_conformance::{Harness, by_own_methods, conformance_tests, property_tests};
use crm_chat_domain::Snapshot;
use crm_chat_memory::Memory;

struct InMemory;

impl Harness for InMemory {
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

conformance_tests!(InMemory);
property_tests!(InMemory);
