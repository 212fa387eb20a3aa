//! Answers as JSON, in the form of the wire.

use crm_chat_domain::{Answer, Refusal};
use serde::Serialize;

/// The answer to one request.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// An outcome: the chat's id, 0 for *no chat*.
    Done { result: i64 },
    /// A rule said no.
    Refused(Refusal),
    /// The request could not be read.
    Invalid { error: &'static str, error_description: String },
}

impl Reply {
    /// Answers what is no request.
    pub(crate) fn invalid(error_description: String) -> Self {
        Self::Invalid { error: "INVALID_REQUEST", error_description }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(outcome) => Self::Done { result: outcome.result() },
            Err(refusal) => Self::Refused(refusal),
        }
    }
}
