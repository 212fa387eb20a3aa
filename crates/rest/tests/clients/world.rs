//! The store of the server, accessed by the test.

use std::path::Path;

use crm_chat_domain::{RemovalRecord, Snapshot};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

pub(crate) struct World(Sqlite);

impl World {
    /// The name of the store's file.
    pub(crate) const FILE: &str = "store.db";

    pub(crate) fn create(directory: &Path) -> Self {
        Self(block_on(Sqlite::open(directory.join(Self::FILE))).unwrap())
    }

    /// Replaces the content of the store. Returns it as the store represents it.
    pub(crate) fn load(&self, snapshot: &Snapshot) -> Snapshot {
        block_on(self.0.load(snapshot.clone())).unwrap();
        block_on(self.0.dump()).unwrap()
    }

    /// Verifies that exactly these removals were made, in this order.
    pub(crate) fn verify(
        &self,
        mut before: Snapshot,
        removals: &[RemovalRecord],
    ) -> Result<(), String> {
        for removal in removals {
            apply(&mut before, removal);
        }
        let mut after = block_on(self.0.dump()).unwrap();
        for record in &mut after.removals {
            record.recorded_at = None;
        }
        if after == before {
            Ok(())
        } else {
            Err(format!("expected\n{before:?}\nactual\n{after:?}"))
        }
    }
}

fn apply(world: &mut Snapshot, removal: &RemovalRecord) {
    let mut chats = world.chats.iter_mut();
    let chat = chats.find(|chat| chat.id == removal.chat).unwrap();
    chat.members.retain(|member| *member != removal.user);
    if chat.owner == Some(removal.user) {
        chat.owner = removal.new_owner;
    }
    world.removals.push(*removal);
}
