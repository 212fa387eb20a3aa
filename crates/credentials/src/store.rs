//! The port for issuing and revoking credentials.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crm_chat_domain::{StoreError, Timestamp, UserId};

use crate::{CredentialId, Credentials, Scopes, Secret};

/// The port that issues, lists and revokes the credentials that [`Credentials`] verifies. Operators
/// use it; the server does not.
///
/// An implementation:
/// - MUST accept each credential that it issued, with its user and its scopes, and nothing else:
///   not a secret with another user, not a webhook's secret as a token, not a token as a webhook's
///   secret, not a part of a secret;
/// - MUST report a token as [expired](crate::CredentialsError::Expired) from the end of its
///   lifetime on, by a clock of its own;
/// - MUST report a credential as [invalid](crate::CredentialsError::Invalid) from the moment on
///   that [`revoke`](Self::revoke) has returned, through every handle and in every process;
/// - MUST NOT assign the id of one credential to another, even after it was revoked;
/// - MUST generate secrets of at least 128 random bits, from characters that need no escaping in a
///   URL.
pub trait CredentialStore: Credentials {
    /// Issues a webhook, a secret that is valid for a user until it is revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the storage or the source of randomness failed.
    fn add_webhook(
        &self,
        user: UserId,
        scopes: Scopes,
    ) -> impl Future<Output = Result<Issued, StoreError>> + Send;

    /// Issues a token, which is valid for `lifetime`, in whole seconds, or until it is revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the storage or the source of randomness failed; *unsupported* if the
    /// lifetime ends after the year 9999.
    fn add_token(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Duration,
    ) -> impl Future<Output = Result<Issued, StoreError>> + Send;

    /// Returns all credentials of a kind, including expired ones, in the order in which they were
    /// issued.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed; *corrupt* if it holds an invalid credential.
    fn list(
        &self,
        kind: CredentialKind,
    ) -> impl Future<Output = Result<Vec<Credential>, StoreError>> + Send;

    /// Revokes a credential permanently. Returns `false` if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    fn revoke(&self, id: &CredentialId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The kind of a credential.
///
/// Exhaustive, since a caller can present credentials in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A secret in the path of a call, next to the id of its user.
    Webhook,
    /// A token in a parameter or a header.
    Token,
}

impl CredentialKind {
    /// Returns `webhook` or `token`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Token => "token",
        }
    }

    /// Returns the id of the credential of this kind with a number, such as `webhook:3`.
    #[must_use]
    pub fn id(self, number: u64) -> CredentialId {
        CredentialId::new(format!("{self}:{number}"))
    }

    /// Returns the number in an id of this kind, the inverse of [`id`](Self::id).
    pub(crate) fn number(self, id: &CredentialId) -> Option<u64> {
        let number = id.0.strip_prefix(self.as_str())?.strip_prefix(':')?;
        number.parse().ok().filter(|number| self.id(*number) == *id)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The public data of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The id.
    pub id: CredentialId,
    /// The user on whose behalf its calls run.
    pub user: UserId,
    /// The scopes of its calls.
    pub scopes: Scopes,
    /// The time of issue, in whole seconds.
    pub created_at: Timestamp,
    /// The time from which on it is expired; `None` for a webhook.
    pub expires_at: Option<Timestamp>,
}

/// A newly issued credential and its secret.
#[derive(Debug)]
pub struct Issued {
    /// The credential, as [`list`](CredentialStore::list) returns it.
    pub credential: Credential,
    /// The secret that the caller presents. It cannot be retrieved later.
    pub secret: Secret,
}
