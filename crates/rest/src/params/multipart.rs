//! Parses `multipart/form-data` with nested parameters in PHP's bracket notation.

use axum::body::Body;
use bytes::Bytes;
use multer::Multipart;

use super::form::MapBuilder;
use super::{ParamError, ParamLimits, ParamMap};

/// Parses the fields. Files are counted and ignored.
pub(super) async fn parse(
    boundary: String,
    body: Bytes,
    limits: ParamLimits,
) -> Result<ParamMap, ParamError> {
    let mut multipart = Multipart::new(Body::from(body).into_data_stream(), boundary);
    let mut builder = MapBuilder::new(limits);
    while let Some(field) = multipart.next_field().await.map_err(invalid)? {
        let name = match field.file_name() {
            Some(_) => String::new(),
            None => field.name().unwrap_or_default().to_owned(),
        };
        let bytes = field.bytes().await.map_err(invalid)?;
        let value = if name.is_empty() {
            String::new()
        } else {
            String::from_utf8(bytes.into()).map_err(|_| ParamError::NotUtf8("body"))?
        };
        builder.add(&name, value)?;
    }
    Ok(builder.params)
}

fn invalid(_: multer::Error) -> ParamError {
    ParamError::Multipart
}
