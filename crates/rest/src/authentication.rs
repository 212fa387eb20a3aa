//! Authenticates callers and checks that they are active.

use std::future::Future;
use std::pin::Pin;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use crm_chat_credentials::{Credentials, CredentialsError, Grant};
use crm_chat_domain::{
    Answer, Removal, Store, StoreError, Transaction, UserId, Work, remove_in, transact,
    transact_read,
};
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::params::{Param, ParamMap};
use crate::route::Route;

/// The credentials that a caller presents. They are overwritten in memory when dropped.
pub(crate) enum PresentedCredentials {
    Webhook { user: Zeroizing<String>, secret: Zeroizing<String> },
    Token(Zeroizing<String>),
}

impl PresentedCredentials {
    /// Returns the credentials in the head of a request: the secret in a webhook's path, else the
    /// token in the query parameter `auth`, else the token in the header `Authorization`.
    pub(crate) fn from_head(route: &Route, query: &ParamMap, headers: &HeaderMap) -> Option<Self> {
        match route {
            Route::Webhook { user, secret, .. } => {
                Some(Self::Webhook { user: user.clone().into(), secret: secret.clone().into() })
            }
            _ => Self::from_params(query).or_else(|| Some(Self::Token(bearer(headers)?.into()))),
        }
    }

    /// Returns the token in the body. It overrides a token in the head, but not the secret of a
    /// webhook.
    pub(crate) fn from_body(route: &Route, body: &ParamMap) -> Option<Self> {
        match route {
            Route::Webhook { .. } => None,
            _ => Self::from_params(body),
        }
    }

    fn from_params(params: &ParamMap) -> Option<Self> {
        let token = params.get("auth").and_then(Param::to_text)?;
        (!token.is_empty()).then(|| Self::Token(token.into()))
    }

    async fn verify(&self, credentials: &impl Credentials) -> Result<Grant, ApiError> {
        match self {
            Self::Webhook { user, secret } => {
                let user: UserId = user.parse().map_err(|_| ApiError::InvalidCredentials)?;
                let grant = credentials.webhook(user, secret).await;
                grant.map_err(|error| match error {
                    CredentialsError::Invalid | CredentialsError::Expired => {
                        ApiError::InvalidCredentials
                    }
                    CredentialsError::Store(error) => error.into(),
                })
            }
            Self::Token(token) => {
                let grant = credentials.token(token).await;
                grant.map_err(|error| match error {
                    CredentialsError::Invalid => ApiError::InvalidToken,
                    CredentialsError::Expired => ApiError::ExpiredToken,
                    CredentialsError::Store(error) => error.into(),
                })
            }
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// A caller whose credentials have been verified.
pub(crate) struct Caller<'a, C> {
    credentials: &'a C,
    presented: PresentedCredentials,
    pub(crate) grant: Grant,
}

impl<'a, C: Credentials> Caller<'a, C> {
    /// Verifies the credentials of a caller.
    pub(crate) async fn authenticate(
        presented: PresentedCredentials,
        credentials: &'a C,
    ) -> Result<Self, ApiError> {
        let grant = presented.verify(credentials).await?;
        Ok(Self { credentials, presented, grant })
    }
}

/// Verifies the credentials of a caller again, because a batch may outlive them.
///
/// This trait hides the type of the credentials from the table of methods.
pub(crate) trait Reauthenticate: Send + Sync {
    fn reauthenticate(&self) -> Pin<Box<dyn Future<Output = Result<Grant, ApiError>> + Send + '_>>;
}

impl<C: Credentials> Reauthenticate for Caller<'_, C> {
    fn reauthenticate(&self) -> Pin<Box<dyn Future<Output = Result<Grant, ApiError>> + Send + '_>> {
        Box::pin(self.presented.verify(self.credentials))
    }
}

/// Returns `true` if a user is active, according to a read-only transaction.
pub(crate) async fn is_active(store: &impl Store, user: UserId) -> Result<bool, StoreError> {
    transact_read(store, &CheckActive(user)).await
}

struct CheckActive(UserId);

impl<T: Transaction> Work<T> for CheckActive {
    type Output = bool;

    async fn run(&self, tx: &mut T) -> Result<bool, StoreError> {
        tx.is_active(self.0).await
    }
}

/// Removes a user if the caller is active. Returns `None` if the caller is not.
///
/// Both happen in one transaction: once a caller's deactivation is committed, the caller removes
/// no further users.
pub(crate) async fn remove_if_active(
    store: &impl Store,
    caller: UserId,
    removal: &Removal,
) -> Result<Option<Answer>, StoreError> {
    transact(store, &RemoveIfActive { caller, removal }).await
}

struct RemoveIfActive<'a> {
    caller: UserId,
    removal: &'a Removal,
}

impl<T: Transaction> Work<T> for RemoveIfActive<'_> {
    type Output = Option<Answer>;

    async fn run(&self, tx: &mut T) -> Result<Option<Answer>, StoreError> {
        if !tx.is_active(self.caller).await? {
            return Ok(None);
        }
        remove_in(tx, self.caller, self.removal).await.map(Some)
    }
}
