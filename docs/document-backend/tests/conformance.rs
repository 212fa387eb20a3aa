//! The whole suite and the properties.

use crm_chat_conformance::model::edited;
use crm_chat_conformance::{Harness, by_own_methods, conformance_tests, property_tests};
use crm_chat_domain::{Edit, EditError, Snapshot};
use document_backend::Documents;

struct InADocument;

impl Harness for InADocument {
    type Fixture = Documents;
    by_own_methods!(Documents: dump, log);
    async fn set_up(&self, world: &Snapshot) -> Documents {
        Documents::holding(world.clone())
    }
    async fn connect(&self, fixture: &Documents) -> Documents {
        fixture.clone()
    }
    async fn edit(&self, store: &Documents, edit: &Edit) -> Result<(), EditError> {
        Ok(store.update(|document| edited(document, edit))?)
    }
}

conformance_tests!(InADocument);
property_tests!(InADocument);
