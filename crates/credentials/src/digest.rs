//! Keyed digests of secrets.

use blake3::{Hash, Hasher};
use crm_chat_domain::{StoreError, UserId};
use zeroize::Zeroizing;

use crate::random;

/// The key of all digests of one store.
///
/// Keyed BLAKE3 instead of a password hash: secrets are long and random, so brute force is
/// infeasible however fast the hash is, and verification stays cheap. Because of the key, equal
/// secrets have different digests in different stores, and the timing of a lookup reveals nothing
/// about the secret.
pub(crate) struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    pub(crate) fn random() -> Result<Self, StoreError> {
        random("generate a key").map(Self)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Computes the digest of a webhook's user and secret, or of a token, which has no user.
    pub(crate) fn digest(&self, user: Option<UserId>, secret: &str) -> Digest {
        #[cfg(test)]
        work::count();
        // The input is unambiguous: no user has the id 0, and all ids have the same length.
        let user = user.map_or(0, UserId::get).to_be_bytes();
        let mut output =
            Hasher::new_keyed(&self.0).update(&user).update(secret.as_bytes()).finalize_xof();
        let (mut lookup, mut tag) = ([0; 16], [0; 32]);
        output.fill(&mut lookup);
        output.fill(&mut tag);
        Digest { lookup, tag: tag.into() }
    }
}

/// The digest of a secret, in two independent parts.
#[derive(Clone, Copy)]
pub(crate) struct Digest {
    /// The key of the credential in an index. The time of a lookup depends on it.
    pub(crate) lookup: [u8; 16],
    /// The part that authenticates the secret. It is compared in constant time.
    pub(crate) tag: Hash,
}

impl Digest {
    /// Returns `true` if a stored tag equals that of this digest.
    ///
    /// If none is stored, compares with a tag that no secret has, so that an unknown credential
    /// takes as long as a wrong secret.
    pub(crate) fn matches(&self, stored: Option<Hash>) -> bool {
        #[cfg(test)]
        work::count();
        let none = Hash::from_bytes([0; 32]);
        // `Hash` implements `PartialEq` in constant time.
        self.tag == stored.unwrap_or(none)
    }
}

/// Counts the operations on digests.
#[cfg(test)]
mod work {
    use std::cell::Cell;
    use std::time::Duration;

    use futures_lite::future::block_on;

    use crate::{CredentialStore, MemoryCredentials, Scopes};

    thread_local!(static OPERATIONS: Cell<u32> = const { Cell::new(0) });

    pub(super) fn count() {
        OPERATIONS.set(OPERATIONS.get() + 1);
    }

    /// Returns the number of operations that a verification takes.
    fn operations(verification: impl Future) -> u32 {
        let before = OPERATIONS.get();
        block_on(verification);
        OPERATIONS.get() - before
    }

    fn assert_equal_work(store: &impl CredentialStore) {
        let [user, unknown_user] = [1, 2].map(|id: i64| id.try_into().unwrap());
        let webhook = block_on(store.add_webhook(user, Scopes::default())).unwrap();
        let lifetime = Duration::from_hours(1);
        let token = block_on(store.add_token(user, Scopes::default(), lifetime)).unwrap();
        let (secret, token) = (webhook.secret.expose(), token.secret.expose());
        // One digest and one comparison.
        let expected = 2;
        assert_eq!(operations(store.webhook(user, secret)), expected);
        assert_eq!(operations(store.webhook(user, "wrong")), expected);
        assert_eq!(operations(store.webhook(unknown_user, secret)), expected);
        assert_eq!(operations(store.webhook(unknown_user, "")), expected);
        assert_eq!(operations(store.token(token)), expected);
        assert_eq!(operations(store.token("wrong")), expected);
        assert_eq!(operations(store.token("")), expected);
    }

    #[test]
    fn wrong_guess_takes_as_much_work_as_right_one() {
        assert_equal_work(&MemoryCredentials::new().unwrap());
        #[cfg(feature = "sqlite")]
        {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("credentials.db");
            let store = block_on(crate::SqliteCredentials::open_or_create(file)).unwrap();
            assert_equal_work(&store);
        }
    }
}
