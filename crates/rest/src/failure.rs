//! Every answer that is no success: its code, its status, and what it tells the caller.

use axum::http::StatusCode;
use crm_chat_domain::{Refusal, Rule, StoreError, StoreErrorKind};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::parameters::Malformed;
use crate::reading::NoRoomError;

/// Why a call did not succeed. It is displayed as the description that the caller is given.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the call names no credentials")]
    NoAuth,
    #[error("the webhook is unknown or its secret is wrong")]
    InvalidCredentials,
    #[error("the token is unknown")]
    InvalidToken,
    #[error("the token has expired")]
    ExpiredToken,
    #[error("the credentials lack the scope `{0}`")]
    InsufficientScope(&'static str),
    #[error("the calling user is not active: add or activate the user in the store")]
    CallerNotActive,
    #[error("{0}; the body looks like JSON, but its `Content-Type` says that it is a form")]
    JsonAsForm(Refusal),
    #[error("there is no such method")]
    MethodNotFound,
    #[error(
        "there is no such address: call `/rest/{{user}}/{{secret}}/{{method}}` or `/rest/{{method}}`"
    )]
    AddressNotFound,
    #[error("the address lacks a part: a webhook's is `/rest/{{user}}/{{secret}}/{{method}}`")]
    WebhookIncomplete,
    #[error("version 3 of the protocol does not serve this method")]
    VersionThree,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the body is longer than {0} bytes")]
    BodyTooLong(usize),
    #[error(
        "the body is longer than {0} bytes, the limit for a caller who is not known yet: \
         send the token in the header `Authorization` or in the query"
    )]
    UnknownBodyTooLong(usize),
    #[error("a method is called by GET or POST")]
    Verb,
    #[error("this address is read by GET or HEAD")]
    ReadOnly,
    #[error("too many calls by these credentials: repeat later")]
    RateLimited,
    #[error("too many calls at a time: repeat later")]
    Overloaded,
    #[error(transparent)]
    NoRoom(#[from] NoRoomError),
    #[error("the server is stopping: repeat later")]
    Stopping,
    #[error("the time of the batch was up before this command began: repeat the command")]
    NotReached,
    #[error("a batch holds at most {0} commands")]
    BatchTooLong(usize),
    #[error("a batch must not hold a batch")]
    BatchInBatch,
    #[error("{}", match status_of(.0) {
        StatusCode::SERVICE_UNAVAILABLE => "the store cannot be reached now: repeat later",
        _ => "an internal error",
    })]
    Store(#[from] StoreError),
    #[error("an internal error")]
    TimedOut,
    #[error("an internal error")]
    Panicked,
}

/// What a failure of the store means on the wire. Only if surely nothing was kept may the caller repeat blindly.
fn status_of(error: &StoreError) -> StatusCode {
    match error.kind() {
        StoreErrorKind::Conflict | StoreErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Failure {
    pub(crate) fn code(&self) -> &'static str {
        self.row().1
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The table of statuses and codes.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused(refusal) | Self::JsonAsForm(refusal) => (
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST),
                refusal.code(),
            ),
            Self::NoAuth => (StatusCode::UNAUTHORIZED, "NO_AUTH_FOUND"),
            Self::InvalidCredentials => (StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::ExpiredToken => (StatusCode::UNAUTHORIZED, "expired_token"),
            Self::InsufficientScope(_) => (StatusCode::UNAUTHORIZED, "insufficient_scope"),
            Self::CallerNotActive => (StatusCode::UNAUTHORIZED, "authorization_error"),
            Self::MethodNotFound | Self::AddressNotFound | Self::WebhookIncomplete => {
                (StatusCode::NOT_FOUND, "ERROR_METHOD_NOT_FOUND")
            }
            Self::VersionThree => (StatusCode::NOT_FOUND, VERSION_THREE),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, INVALID_REQUEST),
            Self::BodyTooLong(_) | Self::UnknownBodyTooLong(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST)
            }
            Self::Verb | Self::ReadOnly => (StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST),
            Self::RateLimited => (StatusCode::SERVICE_UNAVAILABLE, "QUERY_LIMIT_EXCEEDED"),
            Self::Overloaded | Self::NoRoom(_) | Self::Stopping | Self::NotReached => {
                (StatusCode::SERVICE_UNAVAILABLE, OVERLOAD_LIMIT)
            }
            Self::BatchTooLong(_) => (StatusCode::BAD_REQUEST, BATCH_TOO_LONG),
            Self::BatchInBatch => (StatusCode::BAD_REQUEST, BATCH_IN_BATCH),
            Self::Store(error) => match status_of(error) {
                StatusCode::SERVICE_UNAVAILABLE => {
                    (StatusCode::SERVICE_UNAVAILABLE, OVERLOAD_LIMIT)
                }
                status => (status, INTERNAL_SERVER_ERROR),
            },
            Self::TimedOut | Self::Panicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// Returns what lies beneath, for the log alone.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.report()),
            Self::TimedOut => Some("the request's time ran out, the outcome is unknown".to_owned()),
            Self::Panicked => Some("the store or the credentials panicked".to_owned()),
            _ => None,
        }
    }

    /// Returns why the call was shed, if it was: a label from a closed set.
    pub(crate) fn shed_reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Overloaded => "max_calls",
            Self::NoRoom(NoRoomError::Known) => "reading_known",
            Self::NoRoom(NoRoomError::Unknown) => "reading_unknown",
            Self::RateLimited => "rate_limit",
            Self::Stopping => "stopping",
            Self::NotReached => "batch_time",
            Self::Malformed(Malformed::TooSlow) => "slow_body",
            _ => return None,
        })
    }

    /// Returns the verbs that would have been right.
    pub(crate) fn allow(&self) -> Option<&'static str> {
        match self {
            Self::Verb => Some("GET, POST"),
            Self::ReadOnly => Some("GET, HEAD"),
            _ => None,
        }
    }

    /// Returns the challenge of a 401 (RFC 9110, section 11.6.1; RFC 6750, section 3).
    pub(crate) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken | Self::ExpiredToken => {
                Some(r#"Bearer realm="crm-chat", error="invalid_token""#)
            }
            Self::InsufficientScope(_) => {
                Some(r#"Bearer realm="crm-chat", error="insufficient_scope""#)
            }
            _ if self.status() == StatusCode::UNAUTHORIZED => Some(r#"Bearer realm="crm-chat""#),
            _ => None,
        }
    }

    fn argument(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) | Self::JsonAsForm(refusal) => {
                Some(refusal.argument()?.as_str())
            }
            _ => None,
        }
    }

    /// Returns the status and the code of every refusal.
    pub(crate) fn refusals() -> impl Iterator<Item = (u16, &'static str)> {
        let rules = Rule::ALL.into_iter();
        rules.filter_map(|rule| Some((rule.status(), rule.code()?)))
    }
}

const VERSION_THREE: &str = "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION";
const BATCH_TOO_LONG: &str = "ERROR_BATCH_LENGTH_EXCEEDED";
const BATCH_IN_BATCH: &str = "ERROR_BATCH_METHOD_NOT_ALLOWED";
const INVALID_REQUEST: &str = "INVALID_REQUEST";
const OVERLOAD_LIMIT: &str = "OVERLOAD_LIMIT";
const INTERNAL_SERVER_ERROR: &str = "INTERNAL_SERVER_ERROR";

/// The codes that only a command of a batch may end in.
pub(crate) const OF_COMMANDS: [&str; 2] = [BATCH_TOO_LONG, BATCH_IN_BATCH];

/// The statuses and codes that are no refusals of the rules.
pub(crate) const OWN: [(u16, &str); 13] = [
    (401, "NO_AUTH_FOUND"),
    (401, "INVALID_CREDENTIALS"),
    (401, "invalid_token"),
    (401, "expired_token"),
    (401, "insufficient_scope"),
    (401, "authorization_error"),
    (404, "ERROR_METHOD_NOT_FOUND"),
    (400, INVALID_REQUEST),
    (413, INVALID_REQUEST),
    (405, INVALID_REQUEST),
    (503, "QUERY_LIMIT_EXCEEDED"),
    (503, OVERLOAD_LIMIT),
    (500, INTERNAL_SERVER_ERROR),
];

/// Written as the object of the wire: `error`, `error_description`, and `argument` where there is one.
impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Self::VersionThree = self {
            let error = serde_json::json!({"code": self.code(), "message": self.to_string()});
            map.serialize_entry("error", &error)?;
            return map.end();
        }
        map.serialize_entry("error", self.code())?;
        map.serialize_entry("error_description", &self.to_string())?;
        if let Some(argument) = self.argument() {
            map.serialize_entry("argument", argument)?;
        }
        map.end()
    }
}
