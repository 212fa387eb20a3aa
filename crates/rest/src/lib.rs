#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod credentials;

pub use credentials::{CredentialId, Credentials, CredentialsError, Grant, Scopes};
