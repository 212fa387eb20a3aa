//! Parses the query and the body of a request, in all supported encodings, into a [`ParamMap`].

mod form;
mod json;
mod map;
mod multipart;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;

pub(crate) use form::{parse as parse_form, percent_decode};
pub(crate) use map::{Param, ParamMap};

/// Limits of the parameters of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParamLimits {
    /// The maximum nesting depth. A scalar has the depth 0.
    pub(crate) depth: usize,
    /// The maximum number of values, including nested ones.
    pub(crate) count: usize,
}

/// The error returned if parameters cannot be parsed. Its message repeats nothing of the input,
/// which may contain secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParamError {
    #[error("the parameters are nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("there are more than {0} parameters")]
    TooMany(usize),
    #[error("the {0} is not valid UTF-8")]
    NotUtf8(&'static str),
    #[error("the name of a parameter has unbalanced brackets: write `a[b][c]`")]
    Brackets,
    #[error("the body is not valid JSON at line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("the body must be a JSON object")]
    NotAnObject,
    #[error("the body is not valid `multipart/form-data`")]
    Multipart,
    #[error(
        "the body's `Content-Type` must be `application/json`, \
         `application/x-www-form-urlencoded` or `multipart/form-data`, in UTF-8"
    )]
    ContentType,
    #[error("the body must not have a `Content-Encoding`")]
    ContentEncoding,
}

/// Parses a body according to its content type. An empty body has no parameters, whatever its type.
pub(crate) async fn parse_body(
    headers: &HeaderMap,
    body: Bytes,
    limits: ParamLimits,
) -> Result<ParamMap, ParamError> {
    if body.is_empty() {
        return Ok(ParamMap::default());
    }
    let encoding = header(headers, CONTENT_ENCODING).unwrap_or_default();
    if !matches!(encoding, "" | "identity") {
        return Err(ParamError::ContentEncoding);
    }
    let content_type = header(headers, CONTENT_TYPE).ok_or(ParamError::ContentType)?;
    let (media, attributes) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !is_utf8(attributes) {
        return Err(ParamError::ContentType);
    }
    match media.trim().to_ascii_lowercase().as_str() {
        "application/json" => json::parse(&body, limits),
        "application/x-www-form-urlencoded" => {
            let text = str::from_utf8(&body).map_err(|_| ParamError::NotUtf8("body"))?;
            form::parse(text, "body", limits)
        }
        "multipart/form-data" => {
            let boundary =
                multer::parse_boundary(content_type).map_err(|_| ParamError::Multipart)?;
            multipart::parse(boundary, body, limits).await
        }
        _ => Err(ParamError::ContentType),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns `true` unless the attributes of a media type name a character set other than UTF-8.
fn is_utf8(attributes: &str) -> bool {
    let charset = attributes.split(';').find_map(|attribute| {
        let (name, value) = attribute.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    charset.is_none_or(|charset| {
        let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
        // ASCII is a subset of UTF-8.
        matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")
    })
}
