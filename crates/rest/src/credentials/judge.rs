//! What the implementations have in common: how a credential is issued, and how one that is presented is judged.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use blake3::Hash;
use crm_chat_domain::{StoreError, StoreErrorKind, Timestamp, UserId};

use super::digest::{Digest, Key};
use super::{Credential, CredentialKind, CredentialsError, Grant, Issued, Scopes, Secret};

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Has the key and the clock, and counts the wrong guesses.
pub(super) struct Judge {
    key: Key,
    clock: Clock,
    wrong_guesses: AtomicU64,
}

/// What a store keeps of a credential.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) credential: Credential,
    pub(super) proof: Hash,
}

/// A new credential that has no number yet.
pub(super) struct Draft {
    pub(super) kind: CredentialKind,
    secret: Secret,
    pub(super) digest: Digest,
    pub(super) user: UserId,
    pub(super) scopes: Scopes,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

impl Draft {
    pub(super) fn numbered(self, number: u64) -> Issued {
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

impl Judge {
    pub(super) fn new(key: Key) -> Self {
        Self { key, clock: Arc::new(SystemTime::now), wrong_guesses: AtomicU64::new(0) }
    }

    pub(super) fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    pub(super) fn wrong_guesses(&self) -> u64 {
        self.wrong_guesses.load(Ordering::Relaxed)
    }

    /// Makes a new credential, a token if it has a lifetime.
    pub(super) fn draft(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<Draft, StoreError> {
        let secret = Secret::random()?;
        let created_at = self.now()?;
        let (kind, owner, expires_at) = match lifetime {
            Some(lifetime) => (CredentialKind::Token, None, Some(later(created_at, lifetime)?)),
            None => (CredentialKind::Webhook, Some(user), None),
        };
        Ok(Draft {
            kind,
            digest: self.key.digest(owner, secret.expose()),
            secret,
            user,
            scopes,
            created_at,
            expires_at,
        })
    }

    /// Judges what is presented, a token if it names no user. Whatever `find` finds, the work is the same.
    pub(super) fn judge(
        &self,
        user: Option<UserId>,
        secret: &str,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<Record>, StoreError>,
    ) -> Result<Grant, CredentialsError> {
        let now = self.now()?;
        let digest = self.key.digest(user, secret);
        let found = find(&digest.lookup)?;
        let right = digest.is(found.as_ref().map(|record| record.proof));
        let Some(Record { credential, .. }) = found.filter(|_| right) else {
            self.wrong_guesses.fetch_add(1, Ordering::Relaxed);
            return Err(CredentialsError::Invalid);
        };
        if credential.expires_at.is_some_and(|end| end <= now) {
            return Err(CredentialsError::Expired);
        }
        Ok(Grant { user: credential.user, scopes: credential.scopes, credential: credential.id })
    }

    /// Asks the clock, to the second.
    fn now(&self) -> Result<Timestamp, StoreError> {
        Timestamp::try_from((self.clock)())
            .and_then(|now| Timestamp::new(now.seconds(), 0))
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Other, "read the clock").with_source(error)
            })
    }
}

/// Returns when a lifetime that starts at a time ends.
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

/// Shows nothing of the key.
impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge")
            .field("wrong_guesses", &self.wrong_guesses())
            .finish_non_exhaustive()
    }
}
