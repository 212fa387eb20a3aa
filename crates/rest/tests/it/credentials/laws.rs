//! Each law of the ports, over every implementation.

use std::collections::BTreeSet;
use std::time::Duration;

use crm_chat_domain::{StoreErrorKind, Timestamp};
use crm_chat_rest::{Credential, CredentialId, CredentialKind, CredentialStore, Credentials};

use super::subjects::{
    Clock, HOUR, Memory, Said, Subject, add_token, add_webhook, block_on, grant, scopes, token,
    user, webhook,
};

/// Makes one test of each law for each implementation.
macro_rules! laws {
    ($($law:ident)*) => {
        mod memory {
            $(#[test] fn $law() { super::$law::<super::Memory>(); })*
        }
        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[test] fn $law() { super::$law::<crate::credentials::subjects::Sqlite>(); })*
        }
    };
}

laws! {
    what_was_issued_is_granted
    no_other_secret_is_granted
    a_webhook_is_no_token_and_a_token_no_webhook
    a_token_expires_when_its_time_has_come
    a_lifetime_beyond_all_calendars_is_unsupported
    what_is_revoked_is_invalid_and_all_else_stays
    no_id_is_given_twice
    a_list_shows_what_was_issued_in_order
    secrets_differ_and_are_long_and_fit_a_url
    nothing_shown_holds_a_secret
    every_wrong_guess_is_counted_and_nothing_else
    the_clock_counts_by_default
}

fn what_was_issued_is_granted<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    // Scopes are kept as they are, whatever they are called.
    for names in [&["imopenlines"][..], &[], &["a b", "", "\"]", "ü\n", "crm"]] {
        let issued = block_on(store.add_webhook(user(7), scopes(names))).unwrap();
        let said = webhook(&store, 7, issued.secret.expose());
        assert_eq!(said, Said::Granted(grant(&issued)));
        assert_eq!(issued.credential.scopes, scopes(names));
        let issued = block_on(store.add_token(user(8), scopes(names), HOUR)).unwrap();
        let said = token(&store, issued.secret.expose());
        assert_eq!(said, Said::Granted(grant(&issued)));
        assert_eq!(issued.credential.user, user(8));
    }
}

/// Texts that are nearly a secret.
fn near(secret: &str) -> Vec<String> {
    let mut near = vec![String::new(), "0".repeat(secret.len()), "é\0".repeat(5000)];
    for at in 0..secret.len() {
        let (before, rest) = secret.split_at(at);
        let other = if rest.starts_with('0') { '1' } else { '0' };
        near.push(format!("{before}{other}{}", &rest[1..]));
    }
    near.extend([
        secret[1..].to_owned(),
        secret[..secret.len() - 1].to_owned(),
        secret.to_uppercase(),
        format!("{secret}0"),
        format!(" {secret}"),
        format!("{secret}\0"),
    ]);
    // A secret of digits alone has no upper case.
    near.retain(|text| text != secret);
    near
}

fn no_other_secret_is_granted<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 1));
    let other = add_webhook(&store, 2);
    for text in near(hook.secret.expose()) {
        assert_eq!(webhook(&store, 1, &text), Said::Invalid, "{text:?}");
    }
    for text in near(key.secret.expose()) {
        assert_eq!(token(&store, &text), Said::Invalid, "{text:?}");
    }
    for id in [2, 3, i64::MAX] {
        let said = webhook(&store, id, hook.secret.expose());
        assert_eq!(said, Said::Invalid, "user {id}");
    }
    let said = webhook(&store, 1, other.secret.expose());
    assert_eq!(said, Said::Invalid);
}

fn a_webhook_is_no_token_and_a_token_no_webhook<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 1));
    assert_eq!(token(&store, hook.secret.expose()), Said::Invalid);
    assert_eq!(webhook(&store, 1, key.secret.expose()), Said::Invalid);
}

fn a_token_expires_when_its_time_has_come<S: Subject>() {
    let clock = Clock::new();
    let (store, _folder) = S::open_by(&clock);
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 1));
    let none = block_on(store.add_token(user(1), scopes(&[]), Duration::ZERO)).unwrap();
    assert_eq!(token(&store, none.secret.expose()), Said::Expired);
    clock.move_on(3599);
    assert_eq!(token(&store, key.secret.expose()), Said::Granted(grant(&key)));
    for seconds in [1, 1, 1_000_000_000] {
        clock.move_on(seconds);
        assert_eq!(token(&store, key.secret.expose()), Said::Expired);
        assert_eq!(token(&store, "unknown"), Said::Invalid);
    }
    let said = webhook(&store, 1, hook.secret.expose());
    assert_eq!(said, Said::Granted(grant(&hook)));
}

fn a_lifetime_beyond_all_calendars_is_unsupported<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
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

/// All credentials, webhooks first.
fn list(store: &impl CredentialStore) -> Vec<Credential> {
    [CredentialKind::Webhook, CredentialKind::Token]
        .into_iter()
        .flat_map(|kind| block_on(store.list(kind)).unwrap())
        .collect()
}

fn what_is_revoked_is_invalid_and_all_else_stays<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    let (gone, stays) = (add_webhook(&store, 1), add_webhook(&store, 1));
    let (gone_token, stays_token) = (add_token(&store, 1), add_token(&store, 1));
    for issued in [&gone, &gone_token] {
        assert!(block_on(store.revoke(&issued.credential.id)).unwrap());
        assert!(!block_on(store.revoke(&issued.credential.id)).unwrap());
    }
    for name in ["", "webhook", "webhook:", "webhook:02", "webhook:+2", "token:2", "webhook:4", "x"]
    {
        let revoked = block_on(store.revoke(&CredentialId::new(name))).unwrap();
        assert!(!revoked, "{name}");
    }
    assert_eq!(webhook(&store, 1, gone.secret.expose()), Said::Invalid);
    assert_eq!(token(&store, gone_token.secret.expose()), Said::Invalid);
    let said = webhook(&store, 1, stays.secret.expose());
    assert_eq!(said, Said::Granted(grant(&stays)));
    let said = token(&store, stays_token.secret.expose());
    assert_eq!(said, Said::Granted(grant(&stays_token)));
    assert_eq!(list(&store), [stays.credential, stays_token.credential]);
}

fn no_id_is_given_twice<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        for issued in [add_webhook(&store, 1), add_token(&store, 1)] {
            block_on(store.revoke(&issued.credential.id)).unwrap();
            let number = issued.credential.id.to_string();
            let (_, number) = number.split_once(':').unwrap();
            assert!(ids.insert(number.to_owned()), "{number} again");
        }
    }
}

fn a_list_shows_what_was_issued_in_order<S: Subject>() {
    let clock = Clock::new();
    let (store, _folder) = S::open_by(&clock);
    assert_eq!(list(&store), []);
    let (mut hooks, mut tokens) = (Vec::new(), Vec::new());
    for id in (1..=12).rev() {
        hooks.push(add_webhook(&store, id).credential);
        tokens.push(add_token(&store, id).credential);
        clock.move_on(1000);
    }
    // The first tokens are expired by now.
    assert_eq!(block_on(store.list(CredentialKind::Webhook)).unwrap(), hooks);
    assert_eq!(block_on(store.list(CredentialKind::Token)).unwrap(), tokens);
    let at = |seconds: i64| Timestamp::new(1_800_000_000 + seconds, 0).unwrap();
    let times = |credential: &Credential| (credential.created_at, credential.expires_at);
    assert_eq!(times(&hooks[1]), (at(1000), None));
    assert_eq!(times(&tokens[1]), (at(1000), Some(at(4600))));
    assert_eq!(tokens[1].id, CredentialKind::Token.id(4));
}

fn secrets_differ_and_are_long_and_fit_a_url<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    let issued: Vec<_> =
        (0..20).flat_map(|_| [add_webhook(&store, 1), add_token(&store, 1)]).collect();
    let secrets: BTreeSet<_> = issued.iter().map(|issued| issued.secret.expose()).collect();
    assert_eq!(secrets.len(), issued.len());
    for secret in &secrets {
        assert!(secret.len() * 4 >= 128, "{secret}");
        let digit = |char: char| matches!(char, '0'..='9' | 'a'..='f');
        assert!(secret.chars().all(digit), "{secret}");
    }
    // A digit that is the same in all of them would not be random.
    for at in 0..40 {
        let digits: BTreeSet<_> = secrets.iter().map(|secret| &secret[at..=at]).collect();
        assert!(digits.len() > 1, "digit {at}");
    }
}

fn nothing_shown_holds_a_secret<S: Subject>() {
    let (store, _folder) = S::open_by(&Clock::new());
    for issued in [add_webhook(&store, 1), add_token(&store, 1)] {
        let secret = issued.secret.expose();
        let error = block_on(store.webhook(user(1), &format!("{secret}x"))).unwrap_err();
        let shown = format!("{issued:#?} {:?} {:?} {error} {error:?}", store, list(&store));
        // Nor a good part of it.
        assert!(!shown.contains(&secret[..8]), "{shown}");
    }
}

fn every_wrong_guess_is_counted_and_nothing_else<S: Subject>() {
    let clock = Clock::new();
    let (store, _folder) = S::open_by(&clock);
    let (hook, key) = (add_webhook(&store, 1), add_token(&store, 1));
    webhook(&store, 1, hook.secret.expose());
    token(&store, key.secret.expose());
    clock.move_on(5000);
    token(&store, key.secret.expose());
    assert_eq!(S::wrong_guesses(&store), 0);
    webhook(&store, 1, "wrong");
    webhook(&store, 2, hook.secret.expose());
    token(&store, hook.secret.expose());
    token(&store, "");
    assert_eq!(S::wrong_guesses(&store), 4);
}

/// The system's clock lies between what is long past and what is far ahead.
fn the_clock_counts_by_default<S: Subject>() {
    let (store, _folder) = S::open();
    let key = add_token(&store, 1);
    assert_eq!(token(&store, key.secret.expose()), Said::Granted(grant(&key)));
    let now = Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    let age = now.seconds() - key.credential.created_at.seconds();
    assert!((0..600).contains(&age), "{age}");
}
