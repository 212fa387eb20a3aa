//! The bytes of a body, within bounds.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::failure::Failure;
use crate::parameters::Malformed;

/// How many times the limit is read and thrown away before the connection is given up: a client that is still sending
/// sees no answer.
const PATIENCE: usize = 8;

/// Reads a body whole.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    max: usize,
) -> Result<Bytes, Failure> {
    let patience = max.saturating_mul(PATIENCE);
    if announced(headers).is_some_and(|length| length > patience) {
        return Err(Failure::BodyTooLong(max));
    }
    let mut bytes = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Malformed::Incomplete)?.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen > patience {
            break;
        }
        if seen <= max {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > max {
        return Err(Failure::BodyTooLong(max));
    }
    Ok(bytes.freeze())
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
