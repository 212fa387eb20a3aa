//! Everything that the transcript of a failed case refers to, for a glob import.
//!
//! Paste a transcript into a test next to `use crm_chat_conformance::prelude::*`.

#[doc(no_inline)]
pub use crate::doubles::{Fault, Faulty, Gate};
#[doc(no_inline)]
pub use crate::fixtures::{chat, edit, entity, request, user, world};
#[doc(no_inline)]
pub use crate::{Harness, cancel_after_polls};
#[doc(no_inline)]
pub use crm_chat_domain::{IfAbsent, Removal, StoreErrorKind, explain, remove_user, remove_users};
