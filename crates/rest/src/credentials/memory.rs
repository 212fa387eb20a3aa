//! Credentials that are gone with the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crm_chat_domain::{StoreError, UserId};

use super::digest::{Digest, Key};
use super::judge::{Judge, Record};
use super::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials, CredentialsError,
    Grant, Issued, Scopes,
};

/// Credentials in memory: for tests, and for servers that make their own at every start.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use crm_chat_rest::{CredentialStore, Credentials, MemoryCredentials};
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
    judge: Judge,
    issued: Mutex<AllIssued>,
}

#[derive(Default)]
struct AllIssued {
    count: u64,
    records: HashMap<[u8; 16], Record>,
}

impl MemoryCredentials {
    /// Makes an empty store.
    ///
    /// # Errors
    /// *Unavailable* if the system has no randomness.
    pub fn new() -> Result<Self, StoreError> {
        Ok(Self { judge: Judge::new(Key::random()?), issued: Mutex::default() })
    }

    /// Replaces the clock, [`SystemTime::now`] by default.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { judge: self.judge.with_clock(clock), ..self }
    }

    /// Returns how many of the secrets and tokens presented so far were wrong. An expired token is not.
    #[must_use]
    pub fn wrong_guesses(&self) -> u64 {
        self.judge.wrong_guesses()
    }

    fn issued(&self) -> MutexGuard<'_, AllIssued> {
        // No panic leaves what it guards half changed.
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, user: Option<UserId>, secret: &str) -> Result<Grant, CredentialsError> {
        let find = |lookup: &[u8; 16]| Ok(self.issued().records.get(lookup).cloned());
        self.judge.judge(user, secret, find)
    }

    fn add(
        &self,
        user: UserId,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<Issued, StoreError> {
        let draft = self.judge.draft(user, scopes, lifetime)?;
        let mut issued = self.issued();
        issued.count += 1;
        let Digest { lookup, proof } = draft.digest;
        let new = draft.numbered(issued.count);
        let credential = new.credential.clone();
        issued.records.insert(lookup, Record { credential, proof });
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

/// Shows nothing of what was issued.
impl fmt::Debug for MemoryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentials").field("judge", &self.judge).finish_non_exhaustive()
    }
}
