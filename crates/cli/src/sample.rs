//! The sample document: what `import --sample` imports and the demo plays on.

use crm_chat_domain::Snapshot;

/// Returns the sample.
pub(crate) fn snapshot() -> Snapshot {
    serde_json::from_str(include_str!("sample.json")).expect("the sample is a document")
}
