//! Builds HTTP responses.

use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::error::ApiError;
use crate::methods::Output;
use crate::time::Time;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The value of `Retry-After` in every 503, in seconds. Requests are shed immediately rather than
/// queued, so capacity is usually available again after a moment.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The body of a successful response.
#[derive(Serialize)]
pub(crate) struct Success {
    pub(crate) result: Output,
    pub(crate) time: Time,
}

/// Builds the response to a call.
pub(crate) fn respond(result: &Result<Success, ApiError>, request_id: &str) -> Response {
    let mut response = match result {
        Ok(success) => json(StatusCode::OK, success),
        Err(error) => {
            let mut response = json(error.status(), error);
            add_error_headers(error, response.headers_mut());
            response
        }
    };
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

/// Adds the headers that explain how to recover from an error.
fn add_error_headers(error: &ApiError, headers: &mut HeaderMap) {
    if let Some(methods) = error.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(challenge) = error.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
}

/// Adds the security headers of every response.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    // Even a GET can remove a user, so no cache may answer one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, JSON)], to_json(body)).into_response()
}

pub(crate) fn to_json(body: &impl Serialize) -> Bytes {
    // Serialization fails only for maps with keys that are not strings, or if an implementation of
    // `Serialize` fails. Response bodies have neither.
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// Builds the 503 of a probe.
pub(crate) fn unavailable(text: &'static str) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], text).into_response()
}
