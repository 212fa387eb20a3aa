#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod digest;
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

/// Checks what a caller presents, and says on whose behalf it calls.
///
/// An implementation:
/// - MUST compare in constant time, and do the same work for a wrong guess as for a right one, an unknown user among the
///   wrong ones;
/// - MUST answer every wrong guess by [`CredentialsError::Invalid`], which is counted;
/// - MUST store a secret as a salted or keyed hash only, and show it nowhere: in no error, log or `Debug`.
///
/// [`CredentialStore`] has the laws of issuing them. [`MemoryCredentials`] is the reference, `SqliteCredentials` (feature
/// `sqlite`) keeps them in a file.
pub trait Credentials: Send + Sync + 'static {
    /// Tells who calls by the webhook path `/rest/{user}/{secret}/…`.
    ///
    /// # Errors
    /// [`CredentialsError::Invalid`] for an unknown user or a wrong secret, [`CredentialsError::Store`] if it cannot be
    /// told.
    fn webhook(
        &self,
        user: UserId,
        secret: &str,
    ) -> impl Future<Output = Result<Grant, CredentialsError>> + Send;

    /// Tells who calls by an OAuth token.
    ///
    /// # Errors
    /// [`CredentialsError::Invalid`] for an unknown token, [`CredentialsError::Expired`] for one past its time,
    /// [`CredentialsError::Store`] if it cannot be told.
    fn token(&self, token: &str) -> impl Future<Output = Result<Grant, CredentialsError>> + Send;
}

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

/// What a caller may do, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// On whose behalf the call runs.
    pub user: UserId,
    /// What it may reach.
    pub scopes: Scopes,
    /// Which credential was presented.
    pub credential: CredentialId,
}

/// The scopes of a credential, such as `imopenlines`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Tells whether a scope is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Returns the scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

/// Names a credential in logs and rate limits. It is not secret, and says nothing about the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// Makes a name, such as `webhook:3`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The error returned when a credential grants nothing.
///
/// Exhaustive, since a front must answer each variant differently.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It is unknown, or the secret is wrong.
    #[error("the credentials are unknown or wrong")]
    Invalid,
    /// It was good once.
    #[error("the credentials have expired")]
    Expired,
    /// It cannot be told: the storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks the system for random bytes.
fn random<const N: usize>(operation: &'static str) -> Result<Zeroizing<[u8; N]>, StoreError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, operation).with_source(error)
    })?;
    Ok(bytes)
}
