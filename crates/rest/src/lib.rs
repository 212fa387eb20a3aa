#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod credentials;

#[cfg(feature = "sqlite")]
pub use credentials::SqliteCredentials;
pub use credentials::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, MemoryCredentials, Scopes, Secret,
};
