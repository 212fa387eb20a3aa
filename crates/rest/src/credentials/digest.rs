//! What is kept of a secret.

use blake3::{Hash, Hasher};
use crm_chat_domain::{StoreError, UserId};
use zeroize::Zeroizing;

use super::random;

/// What the digests of one store are made with.
///
/// Keyed BLAKE3 and no password hash: secrets are random and long, so that nobody can go through them however fast a
/// digest is, and a check stays cheap. The key makes equal secrets differ between stores, and hides from whoever
/// measures a lookup what is looked up.
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn random() -> Result<Self, StoreError> {
        random("make a key").map(Self)
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Makes the digest of a webhook's user and secret, or of a token, which names no user.
    pub(super) fn digest(&self, user: Option<UserId>, secret: &str) -> Digest {
        #[cfg(test)]
        work::count();
        // No user's id is 0, and all ids are equally long: what is digested can be read in one way only.
        let user = user.map_or(0, UserId::get).to_be_bytes();
        let mut output =
            Hasher::new_keyed(&self.0).update(&user).update(secret.as_bytes()).finalize_xof();
        let (mut lookup, mut proof) = ([0; 16], [0; 32]);
        output.fill(&mut lookup);
        output.fill(&mut proof);
        Digest { lookup, proof: proof.into() }
    }
}

/// The digest of a secret, in two parts.
#[derive(Clone, Copy)]
pub(super) struct Digest {
    /// Finds what may be the credential, by an index that does not take the same time for all.
    pub(super) lookup: [u8; 16],
    /// Shows that it is: compared in constant time.
    pub(super) proof: Hash,
}

impl Digest {
    /// Tells whether the proof that was found is this digest's. If none was, it compares with one that no secret has.
    pub(super) fn is(&self, found: Option<Hash>) -> bool {
        #[cfg(test)]
        work::count();
        let nothing = Hash::from_bytes([0; 32]);
        // `Hash` compares in constant time.
        self.proof == found.unwrap_or(nothing)
    }
}

/// Counts what is done with digests.
#[cfg(test)]
mod work {
    use std::cell::Cell;

    use futures_lite::future::block_on;

    use super::super::{CredentialStore, MemoryCredentials, Scopes};

    thread_local!(static DONE: Cell<u32> = const { Cell::new(0) });

    pub(super) fn count() {
        DONE.set(DONE.get() + 1);
    }

    fn of(check: impl Future) -> u32 {
        let before = DONE.get();
        block_on(check);
        DONE.get() - before
    }

    fn check(store: &impl CredentialStore) {
        let [user, nobody] = [1, 2].map(|id: i64| id.try_into().unwrap());
        let hook = block_on(store.add_webhook(user, Scopes::default())).unwrap();
        let lifetime = std::time::Duration::from_hours(1);
        let token = block_on(store.add_token(user, Scopes::default(), lifetime)).unwrap();
        let (hook, token) = (hook.secret.expose(), token.secret.expose());
        // A digest is made, and compared.
        assert_eq!(of(store.webhook(user, hook)), 2);
        assert_eq!(of(store.webhook(user, "wrong")), 2);
        assert_eq!(of(store.webhook(nobody, hook)), 2);
        assert_eq!(of(store.webhook(nobody, "")), 2);
        assert_eq!(of(store.token(token)), 2);
        assert_eq!(of(store.token("wrong")), 2);
        assert_eq!(of(store.token("")), 2);
    }

    #[test]
    fn a_wrong_guess_is_as_much_work_as_a_right_one() {
        check(&MemoryCredentials::new().unwrap());
        #[cfg(feature = "sqlite")]
        {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("credentials.db");
            check(&block_on(super::super::SqliteCredentials::open_or_create(file)).unwrap());
        }
    }
}
