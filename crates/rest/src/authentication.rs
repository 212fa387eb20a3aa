//! Credentials and activity of the caller.

use std::future::Future;
use std::pin::Pin;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use crm_chat_domain::{
    Answer, Removal, Store, StoreError, Transaction, UserId, Work, remove_in, transact,
    transact_read,
};
use zeroize::Zeroizing;

use crate::address::Address;
use crate::failure::Failure;
use crate::value::{Array, Value};
use crm_chat_credentials::{Credentials, CredentialsError, Grant};

/// The credentials that a caller presents. Overwritten in memory when they are dropped.
pub(crate) enum Presented {
    Webhook { user: Zeroizing<String>, secret: Zeroizing<String> },
    Token(Zeroizing<String>),
}

impl Presented {
    /// Returns what the head of a request presents: the secret of a webhook's address, else the
    /// token in the query's `auth`, else the one in the header `Authorization`.
    pub(crate) fn in_head(address: &Address, query: &Array, headers: &HeaderMap) -> Option<Self> {
        match address {
            Address::Webhook { user, secret, .. } => {
                Some(Self::Webhook { user: user.clone().into(), secret: secret.clone().into() })
            }
            _ => Self::parameter(query).or_else(|| Some(Self::Token(bearer(headers)?.into()))),
        }
    }

    /// Returns the token that the body presents. It wins over one in the head, but not over a
    /// webhook's secret.
    pub(crate) fn in_body(address: &Address, body: &Array) -> Option<Self> {
        match address {
            Address::Webhook { .. } => None,
            _ => Self::parameter(body),
        }
    }

    fn parameter(parameters: &Array) -> Option<Self> {
        let token = parameters.get("auth").and_then(Value::to_text)?;
        (!token.is_empty()).then(|| Self::Token(token.into()))
    }

    /// Asks the credentials on whose behalf the call is made.
    pub(crate) async fn verify(&self, credentials: &impl Credentials) -> Result<Grant, Failure> {
        match self {
            Self::Webhook { user, secret } => {
                let user: UserId = user.parse().map_err(|_| Failure::InvalidCredentials)?;
                let grant = credentials.webhook(user, secret).await;
                grant.map_err(|error| match error {
                    CredentialsError::Invalid | CredentialsError::Expired => {
                        Failure::InvalidCredentials
                    }
                    CredentialsError::Store(error) => error.into(),
                })
            }
            Self::Token(token) => {
                let grant = credentials.token(token).await;
                grant.map_err(|error| match error {
                    CredentialsError::Invalid => Failure::InvalidToken,
                    CredentialsError::Expired => Failure::ExpiredToken,
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

/// A caller who can be verified again and again: a batch may outlive its credentials.
pub(crate) trait Caller: Send + Sync {
    /// Asks the credentials once more.
    fn verify(&self) -> Pin<Box<dyn Future<Output = Result<Grant, Failure>> + Send + '_>>;
}

/// Presented credentials, and the port that judges them.
pub(crate) struct Presentation<'a, C> {
    pub(crate) credentials: &'a C,
    pub(crate) presented: Presented,
}

impl<C: Credentials> Caller for Presentation<'_, C> {
    fn verify(&self) -> Pin<Box<dyn Future<Output = Result<Grant, Failure>> + Send + '_>> {
        Box::pin(self.presented.verify(self.credentials))
    }
}

/// Asks the store whether a user is active, in a transaction that only reads.
pub(crate) async fn is_active(store: &impl Store, user: UserId) -> Result<bool, StoreError> {
    transact_read(store, &IsActive(user)).await
}

struct IsActive(UserId);

impl<T: Transaction> Work<T> for IsActive {
    type Output = bool;

    async fn run(&self, tx: &mut T) -> Result<bool, StoreError> {
        tx.is_active(self.0).await
    }
}

/// Removes a user if the caller is active; returns `None` if the caller is not.
///
/// One transaction for both: a caller whose deactivation was committed removes no one any more.
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
