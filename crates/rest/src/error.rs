//! The error responses of the API: descriptions, statuses, codes and headers.

use axum::http::StatusCode;
use crm_chat_domain::{Refusal, Rule, StoreError, StoreErrorKind};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::body::{BodyError, NoRoomError};
use crate::methods::BatchError;
use crate::params::ParamError;

/// An error response. `Display` is the description that the caller receives.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0}; the body looks like JSON, but its `Content-Type` declares a form")]
    JsonAsForm(Refusal),
    #[error("the request has no credentials")]
    MissingCredentials,
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
    #[error("there is no such method")]
    MethodNotFound,
    #[error(
        "there is no such address: \
         call `/rest/{{user}}/{{secret}}/{{method}}` or `/rest/{{method}}`"
    )]
    RouteNotFound,
    #[error("the address is incomplete: webhooks use `/rest/{{user}}/{{secret}}/{{method}}`")]
    IncompleteWebhook,
    #[error("version 3 of the protocol does not serve this method")]
    ApiV3,
    #[error("only GET and POST are allowed here")]
    MethodNotAllowed,
    #[error("only GET and HEAD are allowed here")]
    ReadOnly,
    #[error("an HTTP/1.1 request must have exactly one header `Host`")]
    HostHeader,
    #[error("the address and the headers are longer than {0} bytes")]
    HeadTooLong(usize),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Params(#[from] ParamError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("too many calls with these credentials: retry later")]
    RateLimited,
    #[error("too many concurrent calls: retry later")]
    Overloaded,
    #[error("the server is shutting down: retry later")]
    ShuttingDown,
    #[error("{}", match Wire::of_store_error(.0) {
        Wire::OVERLOAD_LIMIT => "the store is currently unavailable: retry later",
        _ => "an internal error",
    })]
    Store(#[from] StoreError),
    #[error("an internal error")]
    TimedOut,
    #[error("an internal error")]
    Panicked,
}

/// The status and the code of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

impl Wire {
    const NO_AUTH_FOUND: Self = Self::new(401, "NO_AUTH_FOUND");
    const INVALID_CREDENTIALS: Self = Self::new(401, "INVALID_CREDENTIALS");
    const INVALID_TOKEN: Self = Self::new(401, "invalid_token");
    const EXPIRED_TOKEN: Self = Self::new(401, "expired_token");
    const INSUFFICIENT_SCOPE: Self = Self::new(401, "insufficient_scope");
    const AUTHORIZATION_ERROR: Self = Self::new(401, "authorization_error");
    const METHOD_NOT_FOUND: Self = Self::new(404, "ERROR_METHOD_NOT_FOUND");
    const INVALID_REQUEST: Self = Self::new(400, "INVALID_REQUEST");
    const BODY_TOO_LONG: Self = Self::new(413, "INVALID_REQUEST");
    const METHOD_NOT_ALLOWED: Self = Self::new(405, "INVALID_REQUEST");
    const QUERY_LIMIT_EXCEEDED: Self = Self::new(503, "QUERY_LIMIT_EXCEEDED");
    const OVERLOAD_LIMIT: Self = Self::new(503, "OVERLOAD_LIMIT");
    const INTERNAL_SERVER_ERROR: Self = Self::new(500, "INTERNAL_SERVER_ERROR");

    const BATCH_TOO_LONG: Self = Self::new(400, "ERROR_BATCH_LENGTH_EXCEEDED");
    const BATCH_IN_BATCH: Self = Self::new(400, "ERROR_BATCH_METHOD_NOT_ALLOWED");

    /// The answer to addresses of version 3. It is not part of the API description, because no
    /// described path leads to it.
    const API_V3: Self = Self::new(404, "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION");

    /// The errors that any request can end in, in addition to the refusals of the rules.
    pub(crate) const PROTOCOL_CODES: [Self; 13] = [
        Self::NO_AUTH_FOUND,
        Self::INVALID_CREDENTIALS,
        Self::INVALID_TOKEN,
        Self::EXPIRED_TOKEN,
        Self::INSUFFICIENT_SCOPE,
        Self::AUTHORIZATION_ERROR,
        Self::METHOD_NOT_FOUND,
        Self::INVALID_REQUEST,
        Self::BODY_TOO_LONG,
        Self::METHOD_NOT_ALLOWED,
        Self::QUERY_LIMIT_EXCEEDED,
        Self::OVERLOAD_LIMIT,
        Self::INTERNAL_SERVER_ERROR,
    ];

    /// The errors that only a command of a batch can end in.
    pub(crate) const BATCH_CODES: [Self; 2] = [Self::BATCH_TOO_LONG, Self::BATCH_IN_BATCH];

    const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }

    /// Returns the errors of all refusals.
    pub(crate) fn refusals() -> impl Iterator<Item = Self> {
        let rules = Rule::ALL.into_iter();
        rules.filter_map(|rule| Some(Self::new(rule.status(), rule.code()?)))
    }

    /// Maps a storage failure.
    ///
    /// 503 invites callers to retry blindly, so it is reserved for failures after which certainly
    /// nothing was kept.
    fn of_store_error(error: &StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Conflict | StoreErrorKind::Unavailable => Self::OVERLOAD_LIMIT,
            _ => Self::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ApiError {
    pub(crate) fn code(&self) -> &'static str {
        self.wire().code
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.wire().status).unwrap_or(StatusCode::BAD_REQUEST)
    }

    fn wire(&self) -> Wire {
        match self {
            Self::Refused(refusal) | Self::JsonAsForm(refusal) => {
                Wire::new(refusal.status(), refusal.code())
            }
            Self::MissingCredentials => Wire::NO_AUTH_FOUND,
            Self::InvalidCredentials => Wire::INVALID_CREDENTIALS,
            Self::InvalidToken => Wire::INVALID_TOKEN,
            Self::ExpiredToken => Wire::EXPIRED_TOKEN,
            Self::InsufficientScope(_) => Wire::INSUFFICIENT_SCOPE,
            Self::CallerNotActive => Wire::AUTHORIZATION_ERROR,
            Self::MethodNotFound | Self::RouteNotFound | Self::IncompleteWebhook => {
                Wire::METHOD_NOT_FOUND
            }
            Self::ApiV3 => Wire::API_V3,
            Self::MethodNotAllowed | Self::ReadOnly => Wire::METHOD_NOT_ALLOWED,
            Self::HostHeader | Self::HeadTooLong(_) | Self::Params(_) => Wire::INVALID_REQUEST,
            Self::Body(error) => match error {
                BodyError::TooLong(_) | BodyError::TooLongUnauthenticated(_) => Wire::BODY_TOO_LONG,
                BodyError::Incomplete | BodyError::TooSlow => Wire::INVALID_REQUEST,
                BodyError::NoRoom(_) => Wire::OVERLOAD_LIMIT,
            },
            Self::Batch(error) => match error {
                BatchError::TooManyCommands(_) => Wire::BATCH_TOO_LONG,
                BatchError::Nested => Wire::BATCH_IN_BATCH,
                BatchError::InvalidCommands
                | BatchError::IdsTooLong(_)
                | BatchError::InvalidCommand => Wire::INVALID_REQUEST,
                BatchError::NotReached => Wire::OVERLOAD_LIMIT,
            },
            Self::RateLimited => Wire::QUERY_LIMIT_EXCEEDED,
            Self::Overloaded | Self::ShuttingDown => Wire::OVERLOAD_LIMIT,
            Self::Store(error) => Wire::of_store_error(error),
            Self::TimedOut | Self::Panicked => Wire::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the underlying cause. It is for the log only: it may name files or tables.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.report()),
            Self::TimedOut => Some("the request timed out, the outcome is unknown".to_owned()),
            Self::Panicked => Some("the store or the credentials panicked".to_owned()),
            _ => None,
        }
    }

    /// Returns the metric label for a call that was shed, or `None` if this call was not.
    pub(crate) fn shed_reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Overloaded => "concurrency",
            Self::Body(BodyError::NoRoom(NoRoomError::Authenticated)) => "body_memory",
            Self::Body(BodyError::NoRoom(NoRoomError::Unauthenticated)) => {
                "unauthenticated_body_memory"
            }
            Self::Body(BodyError::TooSlow) => "slow_body",
            Self::RateLimited => "rate_limit",
            Self::ShuttingDown => "stopping",
            Self::Batch(BatchError::NotReached) => "batch_time",
            _ => return None,
        })
    }

    /// Returns the value of the header `Allow`.
    pub(crate) fn allow(&self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed => Some("GET, POST"),
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
}

/// Serializes the response body: `error`, `error_description` and, for some refusals, `argument`.
impl Serialize for ApiError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Self::ApiV3 = self {
            // Version 3 of the protocol nests its errors, and its clients read this form only.
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
