//! Addresses: `/rest/{user}/{secret}/{method}` and `/rest/{method}`, tidied up.

use crate::failure::Failure;
use crate::parameters::percent_decode;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `/rest/{user}/{secret}/{method}`.
    Webhook { user: String, secret: String, method: String },
    /// `/rest/{method}`.
    OAuth { method: String },
    /// `/rest/api/…`, the protocol's third version.
    VersionThree,
    /// `/rest/…` with two parts: a webhook's address that lacks one.
    WebhookIncomplete,
    /// Anything else.
    Unknown,
}

impl Address {
    /// Reads a path: percent-encoded, with doubled slashes, a slash at the end or the suffix `.json`.
    pub(crate) fn parse(path: &str) -> Self {
        let Some(path) = percent_decode(path) else {
            return Self::Unknown;
        };
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match *segments.as_slice() {
            ["rest", "api", ..] => Self::VersionThree,
            ["rest", method] => Self::OAuth { method: method_name(method) },
            ["rest", user, secret, method] => Self::Webhook {
                user: user.to_owned(),
                secret: secret.to_owned(),
                method: method_name(method),
            },
            ["rest", _, _] => Self::WebhookIncomplete,
            _ => Self::Unknown,
        }
    }

    /// Returns the name of the method, in lower case.
    pub(crate) fn method(&self) -> Result<&str, Failure> {
        match self {
            Self::Webhook { method, .. } | Self::OAuth { method } => Ok(method),
            Self::VersionThree => Err(Failure::VersionThree),
            Self::WebhookIncomplete => Err(Failure::WebhookIncomplete),
            Self::Unknown => Err(Failure::AddressNotFound),
        }
    }
}

/// Strips the suffix `.json` once, and lowers the case.
pub(crate) fn method_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".json").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let shown = match Address::parse(path) {
            Address::Webhook { user, secret, method } => format!("{user} {secret} {method}"),
            Address::OAuth { method } => method,
            Address::VersionThree => "v3".to_owned(),
            Address::WebhookIncomplete => "incomplete".to_owned(),
            Address::Unknown => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{path}");
    }

    #[test]
    fn paths_are_tidied_up() {
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
    fn a_part_missing_is_unknown() {
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
