//! Answers as JSON, in the form of the wire.

use crm_chat_domain::{Answer, Refusal};
use serde::Serialize;

/// The answer to one request, as JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// An outcome: the id of the chat, or 0 if the entity has no chat.
    Outcome { result: i64 },
    /// A refusal by a rule.
    Refused(Refusal),
    /// The answer to a line that is not a request.
    Invalid { error: &'static str, error_description: String },
}

impl Reply {
    /// Returns the answer to a line that is not a request.
    pub(crate) fn invalid(error_description: String) -> Self {
        Self::Invalid { error: "INVALID_REQUEST", error_description }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(outcome) => Self::Outcome { result: outcome.result() },
            Err(refusal) => Self::Refused(refusal),
        }
    }
}
