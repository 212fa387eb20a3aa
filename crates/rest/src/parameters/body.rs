//! The body, by its content type.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;

use super::{Bounds, Malformed, form, json, multipart};
use crate::value::Array;

/// Reads a body. One that is empty has no parameters, whatever its type.
pub(crate) async fn parse(
    headers: &HeaderMap,
    body: Bytes,
    bounds: Bounds,
) -> Result<Array, Malformed> {
    if body.is_empty() {
        return Ok(Array::default());
    }
    let encoding = header(headers, CONTENT_ENCODING).unwrap_or_default();
    if !matches!(encoding, "" | "identity") {
        return Err(Malformed::ContentEncoding);
    }
    let content_type = header(headers, CONTENT_TYPE).ok_or(Malformed::ContentType)?;
    let (media, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !in_utf8(rest) {
        return Err(Malformed::ContentType);
    }
    match media.trim().to_ascii_lowercase().as_str() {
        "application/json" => json::parse(&body, bounds),
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(&body).map_err(|_| Malformed::NotUtf8("body"))?;
            form::parse(text, "body", bounds)
        }
        "multipart/form-data" => {
            let boundary =
                multer::parse_boundary(content_type).map_err(|_| Malformed::Multipart)?;
            multipart::parse(boundary, body, bounds).await
        }
        _ => Err(Malformed::ContentType),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Tells whether the parameters of a media type name no other character set.
fn in_utf8(parameters: &str) -> bool {
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    charset.is_none_or(|charset| {
        let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
        matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")
    })
}
