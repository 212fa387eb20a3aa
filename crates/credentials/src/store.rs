//! The port behind which credentials are issued and revoked.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crm_chat_domain::{StoreError, Timestamp, UserId};

use crate::{CredentialId, Credentials, Scopes, Secret};

/// Issues, lists and revokes what [`Credentials`] checks. The server itself never asks for it: it is for operators.
///
/// An implementation:
/// - MUST grant what it issued, to the user and with the scopes it was issued for, and nothing else: no secret for
///   another user, no webhook's secret as a token, no token as a webhook's secret, no part of a secret;
/// - MUST answer from the moment on that a token's time has come that it has expired, by a clock of its own;
/// - MUST answer from the moment on that [`revoke`](Self::revoke) is done, through every handle and in every process,
///   that what was revoked is [invalid](crate::CredentialsError::Invalid);
/// - MUST never give a credential the id that another one had;
/// - MUST make each secret of at least 128 random bits and of characters that stand in a URL as they are.
pub trait CredentialStore: Credentials {
    /// Issues a webhook: a user and a secret that work until they are revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the storage or the source of randomness failed.
    fn add_webhook(
        &self,
        user: UserId,
        scopes: Scopes,
    ) -> impl Future<Output = Result<Issued, StoreError>> + Send;

    /// Issues a token, which works for `lifetime`, in whole seconds, or until it is revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the storage or the source of randomness failed, of the kind *unsupported* if the lifetime ends
    /// after the year 9999.
    fn add_token(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Duration,
    ) -> impl Future<Output = Result<Issued, StoreError>> + Send;

    /// Returns all credentials of a kind in the order in which they were issued, expired ones among them.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed, of the kind *corrupt* if it holds what is no credential.
    fn list(
        &self,
        kind: CredentialKind,
    ) -> impl Future<Output = Result<Vec<Credential>, StoreError>> + Send;

    /// Revokes a credential for good. Returns whether it was there.
    ///
    /// # Errors
    /// [`StoreError`] if the storage failed.
    fn revoke(&self, id: &CredentialId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// How a caller presents a credential.
///
/// Exhaustive, as there are two ways to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// In the path, with the user's id.
    Webhook,
    /// As a parameter or header, alone.
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

    /// Names the credential of this kind with a number, such as `webhook:3`.
    #[must_use]
    pub fn id(self, number: u64) -> CredentialId {
        CredentialId::new(format!("{self}:{number}"))
    }

    /// The inverse of [`id`](Self::id).
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

/// What may be shown of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What it is called.
    pub id: CredentialId,
    /// On whose behalf it calls.
    pub user: UserId,
    /// What it may reach.
    pub scopes: Scopes,
    /// When it was issued, to the second.
    pub created_at: Timestamp,
    /// From when on it is expired; `None` for a webhook.
    pub expires_at: Option<Timestamp>,
}

/// A credential just issued, and its secret.
#[derive(Debug)]
pub struct Issued {
    /// The credential, as it will be listed.
    pub credential: Credential,
    /// What the caller presents. It cannot be had again.
    pub secret: Secret,
}
