//! Random sequences of operations, compared with a model that stores secrets in plain text.
//!
//! `PROPTEST_CASES` sets the number of sequences; the default is 24. A failure prints its sequence,
//! and proptest saves its seed.

use std::time::Duration;

use crm_chat_credentials::{CredentialKind, CredentialStore, Issued};
use proptest::prelude::*;

use crate::support::{
    Implementation, ManualClock, MemoryUnderTest, Verification, block_on, granted, scopes, user,
    verify_token, verify_webhook,
};

#[derive(Clone, Debug)]
enum Action {
    AddWebhook { user: i64 },
    AddToken { user: i64, seconds: u64 },
    Revoke { which: prop::sample::Index },
    Advance { seconds: u64 },
}

fn arb_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (1..4_i64).prop_map(|user| Action::AddWebhook { user }),
        3 => (1..4_i64, 0..5_u64).prop_map(|(user, seconds)| Action::AddToken { user, seconds }),
        2 => any::<prop::sample::Index>().prop_map(|which| Action::Revoke { which }),
        1 => (1..3_u64).prop_map(|seconds| Action::Advance { seconds }),
    ]
}

/// A store, and all credentials that it has issued.
struct CredentialModel<'a, S> {
    store: &'a S,
    clock: ManualClock,
    /// Each with `true` once it was revoked.
    issued: Vec<(Issued, bool)>,
}

impl<S: CredentialStore> CredentialModel<'_, S> {
    fn run(&mut self, action: &Action) {
        match action {
            Action::AddWebhook { user: id } => {
                let add = self.store.add_webhook(user(*id), scopes(&["imopenlines"]));
                self.issued.push((block_on(add).unwrap(), false));
            }
            Action::AddToken { user: id, seconds } => {
                let lifetime = Duration::from_secs(*seconds);
                let add = self.store.add_token(user(*id), scopes(&["crm"]), lifetime);
                self.issued.push((block_on(add).unwrap(), false));
            }
            Action::Revoke { which } => {
                if self.issued.is_empty() {
                    return;
                }
                let (issued, revoked) = which.get_mut(&mut self.issued);
                let actual = block_on(self.store.revoke(&issued.credential.id)).unwrap();
                assert_eq!(actual, !*revoked);
                *revoked = true;
            }
            Action::Advance { seconds } => self.clock.advance(*seconds),
        }
    }

    /// Presents every secret in every way, and compares the lists.
    fn assert_agreement(&self) {
        for (issued, revoked) in &self.issued {
            let secret = issued.secret.expose();
            let end = issued.credential.expires_at;
            let valid = match end {
                _ if *revoked => Verification::Invalid,
                Some(end) if end.seconds().cast_unsigned() <= self.clock.seconds() => {
                    Verification::Expired
                }
                _ => granted(issued),
            };
            let (as_token, as_webhook) = match end {
                Some(_) => (valid, Verification::Invalid),
                None => (Verification::Invalid, valid),
            };
            assert_eq!(verify_token(self.store, secret), as_token);
            for id in 1..4 {
                let own = issued.credential.user == user(id);
                let expected = if own { as_webhook.clone() } else { Verification::Invalid };
                assert_eq!(verify_webhook(self.store, id, secret), expected);
            }
        }
        for kind in [CredentialKind::Webhook, CredentialKind::Token] {
            let actual = block_on(self.store.list(kind)).unwrap();
            let expected = self.issued.iter().filter(|(issued, revoked)| {
                let token = issued.credential.expires_at.is_some();
                !revoked && token == (kind == CredentialKind::Token)
            });
            let expected: Vec<_> = expected.map(|(issued, _)| issued.credential.clone()).collect();
            assert_eq!(actual, expected);
        }
    }
}

fn agrees_with_model<S: Implementation>(actions: &[Action]) {
    let clock = ManualClock::new();
    let (store, _directory) = S::open_with_clock(&clock);
    let mut model = CredentialModel { store: &store, clock, issued: Vec::new() };
    for action in actions {
        model.run(action);
        model.assert_agreement();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
    ))]

    #[test]
    fn memory_agrees_with_model(actions in prop::collection::vec(arb_action(), 1..24)) {
        agrees_with_model::<MemoryUnderTest>(&actions);
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_agrees_with_model(actions in prop::collection::vec(arb_action(), 1..24)) {
        agrees_with_model::<crate::support::SqliteUnderTest>(&actions);
    }
}
