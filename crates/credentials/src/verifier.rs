//! Issuing and verifying credentials, independent of where they are stored.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use blake3::Hash;
use crm_chat_domain::{StoreError, StoreErrorKind, Timestamp, UserId};

use crate::digest::{Digest, DigestKey};
use crate::{Credential, CredentialKind, CredentialsError, Grant, Issued, Scopes, Secret};

type ClockFn = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The key and the clock of a store of credentials, and the counter of wrong guesses.
pub(crate) struct Verifier {
    key: DigestKey,
    clock: ClockFn,
    wrong_guesses: AtomicU64,
}

/// A stored credential.
#[derive(Clone)]
pub(crate) struct StoredCredential {
    pub(crate) credential: Credential,
    pub(crate) tag: Hash,
}

/// A credential to be stored, which has no number yet.
pub(crate) struct NewCredential {
    pub(crate) kind: CredentialKind,
    secret: Secret,
    pub(crate) digest: Digest,
    pub(crate) user: UserId,
    pub(crate) scopes: Scopes,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl NewCredential {
    /// Completes the credential with the number under which it is stored.
    pub(crate) fn numbered(self, number: u64) -> Issued {
        Issued {
            credential: Credential {
                id: self.kind.id(number),
                user: self.user,
                scopes: self.scopes,
                created_at: self.created_at,
                expires_at: self.expires_at,
            },
            secret: self.secret,
        }
    }
}

impl Verifier {
    #[expect(clippy::disallowed_methods, reason = "the default clock; `with_clock` replaces it")]
    pub(crate) fn new(key: DigestKey) -> Self {
        Self { key, clock: Arc::new(SystemTime::now), wrong_guesses: AtomicU64::new(0) }
    }

    pub(crate) fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    pub(crate) fn wrong_guesses(&self) -> u64 {
        self.wrong_guesses.load(Ordering::Relaxed)
    }

    /// Generates a credential: a token if it has a lifetime, otherwise a webhook.
    pub(crate) fn generate(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<NewCredential, StoreError> {
        let secret = Secret::random()?;
        let created_at = self.now()?;
        // The digest of a webhook includes its user, so that its secret is invalid for any other
        // user. A caller presents a token without a user.
        let (kind, owner, expires_at) = match lifetime {
            Some(lifetime) => (CredentialKind::Token, None, Some(later(created_at, lifetime)?)),
            None => (CredentialKind::Webhook, Some(user), None),
        };
        Ok(NewCredential {
            kind,
            digest: self.key.digest(owner, secret.expose()),
            secret,
            user,
            scopes,
            created_at,
            expires_at,
        })
    }

    /// Verifies the secret of a user's webhook, or a token if there is no user. `find` looks up a
    /// record by the first part of its digest.
    pub(crate) fn verify(
        &self,
        user: Option<UserId>,
        secret: &str,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<StoredCredential>, StoreError>,
    ) -> Result<Grant, CredentialsError> {
        let now = self.now()?;
        let digest = self.key.digest(user, secret);
        let found = find(&digest.lookup)?;
        // Compare even if no record was found, so that every wrong guess takes the same time.
        let matches = digest.matches(found.as_ref().map(|record| record.tag));
        let Some(StoredCredential { credential, .. }) = found.filter(|_| matches) else {
            self.wrong_guesses.fetch_add(1, Ordering::Relaxed);
            return Err(CredentialsError::Invalid);
        };
        // Only the holder of a valid secret learns that it has expired.
        if credential.expires_at.is_some_and(|end| end <= now) {
            return Err(CredentialsError::Expired);
        }
        Ok(Grant { user: credential.user, scopes: credential.scopes, credential: credential.id })
    }

    /// Returns the current time in whole seconds.
    fn now(&self) -> Result<Timestamp, StoreError> {
        Timestamp::try_from((self.clock)())
            .and_then(|now| Timestamp::new(now.seconds(), 0))
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Other, "read the clock").with_source(error)
            })
    }
}

/// Returns the end of a lifetime.
fn later(start: Timestamp, lifetime: Duration) -> Result<Timestamp, StoreError> {
    i64::try_from(lifetime.as_secs())
        .ok()
        .and_then(|seconds| start.seconds().checked_add(seconds))
        .and_then(|end| Timestamp::new(end, 0).ok())
        .ok_or_else(|| {
            StoreError::new(StoreErrorKind::Unsupported, "add a token")
                .with_source("its lifetime ends after the year 9999")
        })
}

/// Omits the key.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("wrong_guesses", &self.wrong_guesses())
            .finish_non_exhaustive()
    }
}
