#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod digest;
pub mod guide;
mod memory;
mod secret;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod verifier;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crm_chat_domain::{StoreError, StoreErrorKind, UserId};
use zeroize::Zeroizing;

pub use memory::MemoryCredentials;
pub use secret::Secret;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteCredentials;
pub use store::{Credential, CredentialKind, CredentialStore, Issued};

/// The port that verifies the credentials of a caller.
///
/// An implementation:
/// - MUST compare secrets in constant time, and do the same work for a wrong guess as for a right
///   one. An unknown user is a wrong guess;
/// - MUST return [`CredentialsError::Invalid`] for every wrong guess, and count it;
/// - MUST store only a salted or keyed hash of a secret, and never expose a secret in an error, a
///   log or `Debug` output.
///
/// [`CredentialStore`] adds the requirements on issuing credentials. [`MemoryCredentials`] is the
/// reference implementation; `SqliteCredentials` (feature `sqlite`) stores credentials in a file.
pub trait Credentials: Send + Sync + 'static {
    /// Verifies a webhook: the user and the secret in the path `/rest/{user}/{secret}/…`.
    ///
    /// # Errors
    /// [`CredentialsError::Invalid`] for an unknown user or a wrong secret,
    /// [`CredentialsError::Store`] if the storage failed.
    fn webhook(
        &self,
        user: UserId,
        secret: &str,
    ) -> impl Future<Output = Result<Grant, CredentialsError>> + Send;

    /// Verifies an OAuth token.
    ///
    /// # Errors
    /// [`CredentialsError::Invalid`] for an unknown token, [`CredentialsError::Expired`] for an
    /// expired one, [`CredentialsError::Store`] if the storage failed.
    fn token(&self, token: &str) -> impl Future<Output = Result<Grant, CredentialsError>> + Send;
}

/// Verifies through the shared implementation.
impl<C: Credentials> Credentials for Arc<C> {
    fn webhook(
        &self,
        user: UserId,
        secret: &str,
    ) -> impl Future<Output = Result<Grant, CredentialsError>> + Send {
        C::webhook(self, user, secret)
    }

    fn token(&self, token: &str) -> impl Future<Output = Result<Grant, CredentialsError>> + Send {
        C::token(self, token)
    }
}

/// The identity and the scopes that a valid credential grants to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user on whose behalf the call runs.
    pub user: UserId,
    /// The scopes of the call.
    pub scopes: Scopes,
    /// The id of the credential that was presented.
    pub credential: CredentialId,
}

/// A set of scopes, such as `imopenlines`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Returns `true` if the set contains a scope.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Returns the scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

/// The id of a credential, for logs and rate limits. It is not secret, and reveals nothing about
/// the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// Creates an id from a name, such as `webhook:3`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The error returned when credentials grant nothing.
///
/// Exhaustive, since a server must answer each variant differently.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The credentials are unknown, or the secret is wrong.
    #[error("the credentials are unknown or wrong")]
    Invalid,
    /// The token was valid but has expired.
    #[error("the credentials have expired")]
    Expired,
    /// The storage failed, so the credentials could not be verified.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns random bytes from the operating system.
fn random<const N: usize>(operation: &'static str) -> Result<Zeroizing<[u8; N]>, StoreError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, operation).with_source(error)
    })?;
    Ok(bytes)
}
