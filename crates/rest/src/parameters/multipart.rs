//! `multipart/form-data`, with PHP's brackets.

use axum::body::Body;
use bytes::Bytes;
use multer::Multipart;

use super::form::Fields;
use super::{Bounds, Malformed};
use crate::value::Array;

/// Reads the fields. A file is counted, but goes nowhere.
pub(super) async fn parse(
    boundary: String,
    body: Bytes,
    bounds: Bounds,
) -> Result<Array, Malformed> {
    let mut multipart = Multipart::new(Body::from(body).into_data_stream(), boundary);
    let mut fields = Fields::new(bounds);
    while let Some(field) = multipart.next_field().await.map_err(malformed)? {
        let name = match field.file_name() {
            Some(_) => String::new(),
            None => field.name().unwrap_or_default().to_owned(),
        };
        let bytes = field.bytes().await.map_err(malformed)?;
        let value = if name.is_empty() {
            String::new()
        } else {
            String::from_utf8(bytes.into()).map_err(|_| Malformed::NotUtf8("body"))?
        };
        fields.add(&name, value)?;
    }
    Ok(fields.array)
}

fn malformed(_: multer::Error) -> Malformed {
    Malformed::Multipart
}
