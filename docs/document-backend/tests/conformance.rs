//! The whole suite.

use crm_chat_conformance::model::Model;
use crm_chat_conformance::{Harness, conformance_tests};
use crm_chat_domain::{Edit, EditError, LogEntry, Snapshot};
use document_backend::Documents;

struct InADocument;

impl Harness for InADocument {
    type Place = Documents;
    type Store = Documents;

    async fn create(&self, world: &Snapshot) -> Documents {
        Documents::holding(world.clone())
    }

    async fn connect(&self, place: &Documents) -> Documents {
        place.clone()
    }

    // Whoever has tables of their own makes the change there.
    async fn edit(&self, store: &Documents, edit: &Edit) -> Result<(), EditError> {
        store.update(|document| {
            let mut model = Model::new(document);
            model.edit(edit)?;
            Ok(model.world().clone())
        })
    }

    async fn dump(&self, store: &Documents) -> Snapshot {
        store.dump()
    }

    async fn log(&self, store: &Documents, after: u64) -> Vec<LogEntry> {
        let numbered = (1..).zip(store.dump().removals);
        let entries = numbered.map(|(sequence, record)| LogEntry { sequence, record });
        entries.filter(|entry| entry.sequence > after).collect()
    }
}

conformance_tests!(InADocument);
