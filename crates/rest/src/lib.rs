#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod credentials;
mod parameters;
mod value;

pub use credentials::{CredentialId, Credentials, CredentialsError, Grant, Scopes};
