//! The whole conformance suite, and the property tests.

use crm_chat_conformance::model::edited;
use crm_chat_conformance::{Harness, by_own_methods, conformance_tests, property_tests};
use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, Snapshot};
use document_backend::DocumentStore;

struct DocumentHarness;

impl Harness for DocumentHarness {
    type Fixture = DocumentStore;
    by_own_methods!(DocumentStore: dump, log);
    async fn set_up(&self, world: &Snapshot) -> DocumentStore {
        DocumentStore::new(world.clone())
    }
    async fn connect(&self, fixture: &DocumentStore) -> DocumentStore {
        fixture.clone()
    }
    async fn edit(&self, store: &DocumentStore, edit: &Edit) -> Result<(), EditError> {
        Ok(store.update(|document| edited(document, edit))?)
    }
}

conformance_tests!(DocumentHarness);
property_tests!(DocumentHarness);
