//! Credentials in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crm_chat_domain::{StoreError, UserId};

use crate::digest::{Digest, DigestKey};
use crate::verifier::{StoredCredential, Verifier};
use crate::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, Scopes,
};

/// Credentials in memory, for tests and for servers that issue new ones at every start.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use crm_chat_credentials::{CredentialStore, Credentials, MemoryCredentials};
///
/// let credentials = MemoryCredentials::new()?;
/// let user = 1.try_into()?;
/// let issued = credentials.add_webhook(user, ["imopenlines"].into_iter().collect()).await?;
/// let grant = credentials.webhook(user, issued.secret.expose()).await?;
/// assert_eq!(grant.credential, issued.credential.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct MemoryCredentials {
    verifier: Verifier,
    issued: Mutex<AllIssued>,
}

/// The credentials of a store.
#[derive(Default)]
struct AllIssued {
    /// The number of credentials ever issued, which is the number of the last one. It never
    /// decreases, so that no number is assigned twice.
    count: u64,
    /// The credentials that were not revoked, by the lookup part of their digests.
    records: HashMap<[u8; 16], StoredCredential>,
}

impl MemoryCredentials {
    /// Creates an empty store.
    ///
    /// # Errors
    /// *unavailable* if the system's source of randomness failed.
    pub fn new() -> Result<Self, StoreError> {
        Ok(Self { verifier: Verifier::new(DigestKey::random()?), issued: Mutex::default() })
    }

    /// Replaces the clock, [`SystemTime::now`] by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { verifier: self.verifier.with_clock(clock), ..self }
    }

    /// Returns the number of wrong secrets and tokens presented so far. An expired token is not
    /// wrong.
    #[must_use]
    pub fn wrong_guesses(&self) -> u64 {
        self.verifier.wrong_guesses()
    }

    fn issued(&self) -> MutexGuard<'_, AllIssued> {
        // A panic cannot leave the data half changed.
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, user: Option<UserId>, secret: &str) -> Result<Grant, CredentialsError> {
        let find = |lookup: &[u8; 16]| Ok(self.issued().records.get(lookup).cloned());
        self.verifier.verify(user, secret, find)
    }

    fn add(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<Issued, StoreError> {
        let new = self.verifier.generate(user, scopes, lifetime)?;
        let mut issued = self.issued();
        issued.count += 1;
        let Digest { lookup, tag } = new.digest;
        let new = new.numbered(issued.count);
        let credential = new.credential.clone();
        issued.records.insert(lookup, StoredCredential { credential, tag });
        Ok(new)
    }
}

impl Credentials for MemoryCredentials {
    async fn webhook(&self, user: UserId, secret: &str) -> Result<Grant, CredentialsError> {
        self.check(Some(user), secret)
    }

    async fn token(&self, token: &str) -> Result<Grant, CredentialsError> {
        self.check(None, token)
    }
}

impl CredentialStore for MemoryCredentials {
    async fn add_webhook(&self, user: UserId, scopes: Scopes) -> Result<Issued, StoreError> {
        self.add(user, scopes, None)
    }

    async fn add_token(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Duration,
    ) -> Result<Issued, StoreError> {
        self.add(user, scopes, Some(lifetime))
    }

    async fn list(&self, kind: CredentialKind) -> Result<Vec<Credential>, StoreError> {
        let issued = self.issued();
        let credentials = issued.records.values().map(|record| &record.credential);
        // The map has no order. Numbers are assigned in the order of issue.
        let mut list: Vec<_> = credentials
            .filter_map(|credential| {
                let number = kind.number(&credential.id)?;
                Some((number, credential.clone()))
            })
            .collect();
        list.sort_by_key(|(number, _)| *number);
        Ok(list.into_iter().map(|(_, credential)| credential).collect())
    }

    async fn revoke(&self, id: &CredentialId) -> Result<bool, StoreError> {
        let mut issued = self.issued();
        let before = issued.records.len();
        issued.records.retain(|_, record| record.credential.id != *id);
        Ok(issued.records.len() < before)
    }
}

/// Omits the credentials.
impl fmt::Debug for MemoryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentials")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}
