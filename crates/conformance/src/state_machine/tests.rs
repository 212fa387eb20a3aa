use crm_chat_domain::Snapshot;
use crm_chat_memory::Memory;

use crate::{Harness, by_own_methods, property_tests};

pub(super) struct InMemory;

impl Harness for InMemory {
    type Place = Memory;
    by_own_methods!(Memory);

    async fn create(&self, world: &Snapshot) -> Memory {
        let memory = Memory::new();
        memory.load(world).await.expect("the world is valid");
        memory
    }

    async fn connect(&self, place: &Memory) -> Memory {
        place.clone()
    }
}

property_tests!(InMemory);

#[test]
fn a_backend_agrees_with_itself() {
    super::two_backends_agree(&InMemory, &InMemory);
}
