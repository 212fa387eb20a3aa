//! Parses request paths: `/rest/{user}/{secret}/{method}` and `/rest/{method}`.

use crate::error::ApiError;
use crate::params::percent_decode;

/// The route that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/rest/{user}/{secret}/{method}`.
    Webhook { user: String, secret: String, method: String },
    /// `/rest/{method}`.
    OAuth { method: String },
    /// `/rest/api/…`, version 3 of the protocol.
    ApiV3,
    /// `/rest/…` with two segments: a webhook's address with one segment missing.
    IncompleteWebhook,
    /// Any other path.
    Unknown,
}

impl Route {
    /// Parses a path after normalizing it: percent-encoding, repeated slashes, a trailing slash and
    /// the suffix `.json` make no difference.
    pub(crate) fn parse(path: &str) -> Self {
        let Some(path) = percent_decode(path) else {
            return Self::Unknown;
        };
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match *segments.as_slice() {
            ["rest", "api", ..] => Self::ApiV3,
            ["rest", method] => Self::OAuth { method: method_name(method) },
            ["rest", user, secret, method] => Self::Webhook {
                user: user.to_owned(),
                secret: secret.to_owned(),
                method: method_name(method),
            },
            ["rest", _, _] => Self::IncompleteWebhook,
            _ => Self::Unknown,
        }
    }

    /// Returns the name of the method in lower case, or the error of a route without one.
    pub(crate) fn method(&self) -> Result<&str, ApiError> {
        match self {
            Self::Webhook { method, .. } | Self::OAuth { method } => Ok(method),
            Self::ApiV3 => Err(ApiError::ApiV3),
            Self::IncompleteWebhook => Err(ApiError::IncompleteWebhook),
            Self::Unknown => Err(ApiError::RouteNotFound),
        }
    }
}

/// Converts a method's name to lower case and strips one suffix `.json`.
pub(crate) fn method_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".json").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let actual = match Route::parse(path) {
            Route::Webhook { user, secret, method } => format!("{user} {secret} {method}"),
            Route::OAuth { method } => method,
            Route::ApiV3 => "v3".to_owned(),
            Route::IncompleteWebhook => "incomplete".to_owned(),
            Route::Unknown => "unknown".to_owned(),
        };
        assert_eq!(actual, expected, "{path}");
    }

    #[test]
    fn paths_are_normalized() {
        for path in [
            "/rest/1/s3CRet/server.time",
            "/rest/1/s3CRet/server.time/",
            "//rest//1///s3CRet//server.time",
            "/rest/1/s3CRet/server.time.json",
            "/rest/1/s3CRet/Server.Time.JSON/",
            "/%72est/1/s3CRe%74/server%2Etime",
            "/rest%2F1%2Fs3CRet%2Fserver.time",
        ] {
            check(path, "1 s3CRet server.time");
        }
        check("/rest/a.json.json", "a.json");
        check("/rest/batch", "batch");
    }

    #[test]
    fn path_with_wrong_number_of_segments_is_incomplete_or_unknown() {
        for path in ["", "/", "/rest", "/rest/", "/rest/1/s/m/x", "/REST/m", "/x/rest/m"] {
            check(path, "unknown");
        }
        check("/rest/1/s", "incomplete");
        check("/rest/1/s/", "incomplete");
        check("/rest/1/server.time", "incomplete");
        check("/rest/1/%ff/m", "unknown");
        check("/rest/api/1/s/m", "v3");
        check("/rest/api", "v3");
    }
}
