//! Any sequence of changes and checks, against a model that compares plain text. `PROPTEST_CASES` sets how many.

use std::time::Duration;

use crm_chat_rest::{CredentialKind, CredentialStore, Issued};
use proptest::prelude::*;

use super::subjects::{
    Clock, Memory, Said, Subject, block_on, grant, scopes, token, user, webhook,
};

#[derive(Clone, Debug)]
enum Step {
    AddWebhook { user: i64 },
    AddToken { user: i64, seconds: u64 },
    Revoke { which: prop::sample::Index },
    MoveOn { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_i64).prop_map(|user| Step::AddWebhook { user }),
        3 => (1..4_i64, 0..5_u64).prop_map(|(user, seconds)| Step::AddToken { user, seconds }),
        2 => any::<prop::sample::Index>().prop_map(|which| Step::Revoke { which }),
        1 => (1..3_u64).prop_map(|seconds| Step::MoveOn { seconds }),
    ]
}

/// All that was ever issued, and whether it was revoked.
struct Model<'a, S> {
    store: &'a S,
    clock: Clock,
    issued: Vec<(Issued, bool)>,
}

impl<S: CredentialStore> Model<'_, S> {
    fn run(&mut self, step: &Step) {
        match step {
            Step::AddWebhook { user: id } => {
                let add = self.store.add_webhook(user(*id), scopes(&["imopenlines"]));
                self.issued.push((block_on(add).unwrap(), false));
            }
            Step::AddToken { user: id, seconds } => {
                let lifetime = Duration::from_secs(*seconds);
                let add = self.store.add_token(user(*id), scopes(&["crm"]), lifetime);
                self.issued.push((block_on(add).unwrap(), false));
            }
            Step::Revoke { which } => {
                if self.issued.is_empty() {
                    return;
                }
                let (issued, revoked) = which.get_mut(&mut self.issued);
                let done = block_on(self.store.revoke(&issued.credential.id)).unwrap();
                assert_eq!(done, !*revoked);
                *revoked = true;
            }
            Step::MoveOn { seconds } => self.clock.move_on(*seconds),
        }
    }

    /// Presents every secret in every way, and reads the lists.
    fn check(&self) {
        for (issued, revoked) in &self.issued {
            let secret = issued.secret.expose();
            let end = issued.credential.expires_at;
            let good = match end {
                _ if *revoked => Said::Invalid,
                Some(end) if end.seconds().cast_unsigned() <= self.clock.seconds() => Said::Expired,
                _ => Said::Granted(grant(issued)),
            };
            let (as_token, as_webhook) = match end {
                Some(_) => (good, Said::Invalid),
                None => (Said::Invalid, good),
            };
            assert_eq!(token(self.store, secret), as_token);
            for id in 1..4 {
                let own = issued.credential.user == user(id);
                let expected = if own { as_webhook.clone() } else { Said::Invalid };
                assert_eq!(webhook(self.store, id, secret), expected);
            }
        }
        for kind in [CredentialKind::Webhook, CredentialKind::Token] {
            let listed = block_on(self.store.list(kind)).unwrap();
            let expected = self.issued.iter().filter(|(issued, revoked)| {
                let token = issued.credential.expires_at.is_some();
                !revoked && token == (kind == CredentialKind::Token)
            });
            let expected: Vec<_> = expected.map(|(issued, _)| issued.credential.clone()).collect();
            assert_eq!(listed, expected);
        }
    }
}

fn agrees_with_the_model<S: Subject>(steps: &[Step]) {
    let clock = Clock::new();
    let (store, _folder) = S::open_by(&clock);
    let mut model = Model { store: &store, clock, issued: Vec::new() };
    for step in steps {
        model.run(step);
        model.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
    ))]

    #[test]
    fn memory_agrees_with_the_model(steps in prop::collection::vec(step(), 1..24)) {
        agrees_with_the_model::<Memory>(&steps);
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_agrees_with_the_model(steps in prop::collection::vec(step(), 1..24)) {
        agrees_with_the_model::<super::subjects::Sqlite>(&steps);
    }
}
