//! Who calls.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use crm_chat_domain::{Store, StoreError, StoreErrorKind, UnitOfWork, UserId, UserRepo};

use crate::failure::Failure;
use crate::value::{Array, Value};
use crate::{Credentials, CredentialsError, Grant};

/// How often the question whether the caller is active is asked, if it ends in conflicts.
const ATTEMPTS: u32 = 8;

/// Checks the secret of a webhook's address.
pub(crate) async fn by_webhook(
    credentials: &impl Credentials,
    user: &str,
    secret: &str,
) -> Result<Grant, Failure> {
    let user: UserId = user.parse().map_err(|_| Failure::InvalidCredentials)?;
    let grant = credentials.webhook(user, secret).await;
    grant.map_err(|error| match error {
        CredentialsError::Invalid | CredentialsError::Expired => Failure::InvalidCredentials,
        CredentialsError::Store(error) => error.into(),
    })
}

/// Checks the token that the parameter `auth` bears, else the header `Authorization`.
pub(crate) async fn by_token(
    credentials: &impl Credentials,
    parameters: &Array,
    headers: &HeaderMap,
) -> Result<Grant, Failure> {
    let parameter = parameters.get("auth").and_then(Value::to_text);
    let token = parameter.filter(|token| !token.is_empty());
    let token = token.or_else(|| bearer(headers)).ok_or(Failure::NoAuth)?;
    credentials
        .token(&token)
        .await
        .map_err(|error| match error {
            CredentialsError::Invalid => Failure::InvalidToken,
            CredentialsError::Expired => Failure::ExpiredToken,
            CredentialsError::Store(error) => error.into(),
        })
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// Asks the store whether the caller is active.
pub(crate) async fn check_active(store: &impl Store, user: UserId) -> Result<(), Failure> {
    let mut attempt = 1;
    let active = loop {
        match is_active(store, user).await {
            Err(error) if error.kind() == StoreErrorKind::Conflict && attempt < ATTEMPTS => {
                store.backoff(attempt).await;
                attempt += 1;
            }
            result => break result?,
        }
    };
    if active {
        Ok(())
    } else {
        Err(Failure::CallerNotActive)
    }
}

async fn is_active(store: &impl Store, user: UserId) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let active = tx.is_active(user).await?;
    tx.commit().await?;
    Ok(active)
}
