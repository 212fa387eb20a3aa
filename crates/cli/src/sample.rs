//! The sample document, which `import --sample` imports and `demo` uses.

use crm_chat_domain::Snapshot;

/// Returns the sample document.
pub(crate) fn snapshot() -> Snapshot {
    serde_json::from_str(include_str!("sample.json")).expect("the sample is a valid document")
}
