//! The requirements of the ports, checked on every implementation.

use std::collections::BTreeSet;
use std::time::Duration;

use crm_chat_credentials::{
    Credential, CredentialId, CredentialKind, CredentialStore, Credentials,
};
use crm_chat_domain::{StoreErrorKind, Timestamp};

use crate::support::{
    HOUR, Implementation, ManualClock, MemoryUnderTest, Verification, add_token, add_webhook,
    block_on, granted, scopes, user, verify_token, verify_webhook,
};

/// Defines one test per requirement and implementation.
macro_rules! laws {
    ($($law:ident)*) => {
        mod memory {
            $(#[test] fn $law() { super::$law::<super::MemoryUnderTest>(); })*
        }
        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[test] fn $law() { super::$law::<crate::support::SqliteUnderTest>(); })*
        }
    };
}

laws! {
    issued_credentials_are_granted
    no_other_secret_is_granted
    webhook_and_token_are_not_interchangeable
    token_expires_at_the_end_of_its_lifetime
    lifetime_beyond_year_9999_is_unsupported
    revoked_credential_is_invalid_and_others_stay_valid
    id_is_never_assigned_twice
    list_is_in_order_of_issue
    secrets_are_distinct_long_and_url_safe
    output_contains_no_secret
    only_wrong_guesses_are_counted
    default_clock_is_the_system_clock
}

fn issued_credentials_are_granted<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    // Scopes are stored unchanged, whatever their names.
    for names in [&["imopenlines"][..], &[], &["a b", "", "\"]", "ü\n", "crm"]] {
        let issued = block_on(store.add_webhook(user(7), scopes(names))).unwrap();
        let actual = verify_webhook(&store, 7, issued.secret.expose());
        assert_eq!(actual, granted(&issued));
        assert_eq!(issued.credential.scopes, scopes(names));
        let issued = block_on(store.add_token(user(8), scopes(names), HOUR)).unwrap();
        let actual = verify_token(&store, issued.secret.expose());
        assert_eq!(actual, granted(&issued));
        assert_eq!(issued.credential.user, user(8));
    }
}

/// Returns texts that are similar to a secret.
fn similar_texts(secret: &str) -> Vec<String> {
    let mut similar = vec![String::new(), "0".repeat(secret.len()), "é\0".repeat(5000)];
    for at in 0..secret.len() {
        let (before, rest) = secret.split_at(at);
        let other = if rest.starts_with('0') { '1' } else { '0' };
        similar.push(format!("{before}{other}{}", &rest[1..]));
    }
    similar.extend([
        secret[1..].to_owned(),
        secret[..secret.len() - 1].to_owned(),
        secret.to_uppercase(),
        format!("{secret}0"),
        format!(" {secret}"),
        format!("{secret}\0"),
    ]);
    // A secret without letters equals its upper-case form.
    similar.retain(|text| text != secret);
    similar
}

fn no_other_secret_is_granted<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 1));
    let other = add_webhook(&store, 2);
    for text in similar_texts(webhook.secret.expose()) {
        assert_eq!(verify_webhook(&store, 1, &text), Verification::Invalid, "{text:?}");
    }
    for text in similar_texts(token.secret.expose()) {
        assert_eq!(verify_token(&store, &text), Verification::Invalid, "{text:?}");
    }
    for id in [2, 3, i64::MAX] {
        let actual = verify_webhook(&store, id, webhook.secret.expose());
        assert_eq!(actual, Verification::Invalid, "user {id}");
    }
    let actual = verify_webhook(&store, 1, other.secret.expose());
    assert_eq!(actual, Verification::Invalid);
}

fn webhook_and_token_are_not_interchangeable<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 1));
    assert_eq!(verify_token(&store, webhook.secret.expose()), Verification::Invalid);
    assert_eq!(verify_webhook(&store, 1, token.secret.expose()), Verification::Invalid);
}

fn token_expires_at_the_end_of_its_lifetime<S: Implementation>() {
    let clock = ManualClock::new();
    let (store, _directory) = S::open_with_clock(&clock);
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 1));
    let expired = block_on(store.add_token(user(1), scopes(&[]), Duration::ZERO)).unwrap();
    assert_eq!(verify_token(&store, expired.secret.expose()), Verification::Expired);
    clock.advance(3599);
    assert_eq!(verify_token(&store, token.secret.expose()), granted(&token));
    for seconds in [1, 1, 1_000_000_000] {
        clock.advance(seconds);
        assert_eq!(verify_token(&store, token.secret.expose()), Verification::Expired);
        assert_eq!(verify_token(&store, "unknown"), Verification::Invalid);
    }
    let actual = verify_webhook(&store, 1, webhook.secret.expose());
    assert_eq!(actual, granted(&webhook));
}

fn lifetime_beyond_year_9999_is_unsupported<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    for seconds in [u64::MAX, i64::MAX.cast_unsigned(), 300_000_000_000] {
        let lifetime = Duration::from_secs(seconds);
        let error = block_on(store.add_token(user(1), scopes(&[]), lifetime)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        assert_eq!(
            error.report(),
            "cannot add a token: unsupported: its lifetime ends after the year 9999"
        );
    }
    assert_eq!(list(&store), []);
}

/// Returns all credentials, webhooks first.
fn list(store: &impl CredentialStore) -> Vec<Credential> {
    [CredentialKind::Webhook, CredentialKind::Token]
        .into_iter()
        .flat_map(|kind| block_on(store.list(kind)).unwrap())
        .collect()
}

fn revoked_credential_is_invalid_and_others_stay_valid<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    let (revoked, kept) = (add_webhook(&store, 1), add_webhook(&store, 1));
    let (revoked_token, kept_token) = (add_token(&store, 1), add_token(&store, 1));
    for issued in [&revoked, &revoked_token] {
        assert!(block_on(store.revoke(&issued.credential.id)).unwrap());
        assert!(!block_on(store.revoke(&issued.credential.id)).unwrap());
    }
    for name in ["", "webhook", "webhook:", "webhook:02", "webhook:+2", "token:2", "webhook:4", "x"]
    {
        let known = block_on(store.revoke(&CredentialId::new(name))).unwrap();
        assert!(!known, "{name}");
    }
    assert_eq!(verify_webhook(&store, 1, revoked.secret.expose()), Verification::Invalid);
    assert_eq!(verify_token(&store, revoked_token.secret.expose()), Verification::Invalid);
    let actual = verify_webhook(&store, 1, kept.secret.expose());
    assert_eq!(actual, granted(&kept));
    let actual = verify_token(&store, kept_token.secret.expose());
    assert_eq!(actual, granted(&kept_token));
    assert_eq!(list(&store), [kept.credential, kept_token.credential]);
}

fn id_is_never_assigned_twice<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        for issued in [add_webhook(&store, 1), add_token(&store, 1)] {
            block_on(store.revoke(&issued.credential.id)).unwrap();
            let number = issued.credential.id.to_string();
            let (_, number) = number.split_once(':').unwrap();
            assert!(ids.insert(number.to_owned()), "{number} was assigned again");
        }
    }
}

fn list_is_in_order_of_issue<S: Implementation>() {
    let clock = ManualClock::new();
    let (store, _directory) = S::open_with_clock(&clock);
    assert_eq!(list(&store), []);
    let (mut webhooks, mut tokens) = (Vec::new(), Vec::new());
    for id in (1..=12).rev() {
        webhooks.push(add_webhook(&store, id).credential);
        tokens.push(add_token(&store, id).credential);
        clock.advance(1000);
    }
    // The first tokens have expired by now. They are listed all the same.
    assert_eq!(block_on(store.list(CredentialKind::Webhook)).unwrap(), webhooks);
    assert_eq!(block_on(store.list(CredentialKind::Token)).unwrap(), tokens);
    let at = |seconds: i64| Timestamp::new(1_800_000_000 + seconds, 0).unwrap();
    let times = |credential: &Credential| (credential.created_at, credential.expires_at);
    assert_eq!(times(&webhooks[1]), (at(1000), None));
    assert_eq!(times(&tokens[1]), (at(1000), Some(at(4600))));
    assert_eq!(tokens[1].id, CredentialKind::Token.id(4));
}

fn secrets_are_distinct_long_and_url_safe<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    let issued: Vec<_> =
        (0..20).flat_map(|_| [add_webhook(&store, 1), add_token(&store, 1)]).collect();
    let secrets: BTreeSet<_> = issued.iter().map(|issued| issued.secret.expose()).collect();
    assert_eq!(secrets.len(), issued.len());
    for secret in &secrets {
        assert!(secret.len() * 4 >= 128, "{secret}");
        let digit = |char: char| matches!(char, '0'..='9' | 'a'..='f');
        assert!(secret.chars().all(digit), "{secret}");
    }
    // A digit that is the same in all secrets would not be random.
    for at in 0..40 {
        let digits: BTreeSet<_> = secrets.iter().map(|secret| &secret[at..=at]).collect();
        assert!(digits.len() > 1, "digit {at}");
    }
}

fn output_contains_no_secret<S: Implementation>() {
    let (store, _directory) = S::open_with_clock(&ManualClock::new());
    for issued in [add_webhook(&store, 1), add_token(&store, 1)] {
        let secret = issued.secret.expose();
        let error = block_on(store.webhook(user(1), &format!("{secret}x"))).unwrap_err();
        let output = format!("{issued:#?} {:?} {:?} {error} {error:?}", store, list(&store));
        // Not even a part of a secret may appear.
        assert!(!output.contains(&secret[..8]), "{output}");
    }
}

fn only_wrong_guesses_are_counted<S: Implementation>() {
    let clock = ManualClock::new();
    let (store, _directory) = S::open_with_clock(&clock);
    let (webhook, token) = (add_webhook(&store, 1), add_token(&store, 1));
    verify_webhook(&store, 1, webhook.secret.expose());
    verify_token(&store, token.secret.expose());
    clock.advance(5000);
    verify_token(&store, token.secret.expose());
    assert_eq!(S::wrong_guesses(&store), 0);
    verify_webhook(&store, 1, "wrong");
    verify_webhook(&store, 2, webhook.secret.expose());
    verify_token(&store, webhook.secret.expose());
    verify_token(&store, "");
    assert_eq!(S::wrong_guesses(&store), 4);
}

fn default_clock_is_the_system_clock<S: Implementation>() {
    let (store, _directory) = S::open();
    let token = add_token(&store, 1);
    assert_eq!(verify_token(&store, token.secret.expose()), granted(&token));
    #[expect(clippy::disallowed_methods, reason = "the test compares with the clock")]
    let now = Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let age = now.seconds() - token.credential.created_at.seconds();
    assert!((0..600).contains(&age), "{age}");
}
