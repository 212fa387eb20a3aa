//! Webhooks and tokens.

use std::path::Path;

use crm_chat_domain::UserId;
use crm_chat_rest::{Credentials, CredentialsError, Grant, SqliteCredentials};
use futures_lite::future::block_on;
use serde_json::Value;

use crate::place::{Place, Ran, WORLD};

const FILE: &str = "crm-chat-credentials.db";

/// The secret that was printed: one line and nothing else.
#[track_caller]
fn secret(ran: Ran) -> String {
    let ran = ran.succeeded();
    let secret = ran.out.strip_suffix('\n').unwrap();
    assert!(secret.len() >= 32 && secret.chars().all(|char| char.is_ascii_alphanumeric()));
    assert!(!ran.err.contains(secret), "{ran:?}");
    secret.to_owned()
}

fn open(file: &Path) -> SqliteCredentials {
    block_on(SqliteCredentials::open(file)).unwrap()
}

fn webhook(file: &Path, user: i64, secret: &str) -> Result<Grant, CredentialsError> {
    let user: UserId = user.try_into().unwrap();
    block_on(open(file).webhook(user, secret))
}

fn token(file: &Path, token: &str) -> Result<Grant, CredentialsError> {
    block_on(open(file).token(token))
}

fn scopes(grant: &Grant) -> Vec<&str> {
    grant.scopes.iter().collect()
}

#[test]
fn a_webhook_that_is_added_works_until_it_is_revoked() {
    let place = Place::empty();
    let file = place.path(FILE);
    let first = place.run("webhook add --user 7").said("webhook:1 works at /rest/7/SECRET/");
    let first = secret(first);
    let second = secret(place.run("webhook add --user 7 --scope crm,imopenlines --scope im"));
    let grant = webhook(&file, 7, &first).unwrap();
    assert_eq!((grant.user.get(), scopes(&grant)), (7, vec!["imopenlines"]));
    let grant = webhook(&file, 7, &second).unwrap();
    assert_eq!(scopes(&grant), ["crm", "im", "imopenlines"]);
    assert!(webhook(&file, 8, &first).is_err());

    place.run("webhook revoke 1").succeeded().answered("");
    assert!(matches!(webhook(&file, 7, &first), Err(CredentialsError::Invalid)));
    webhook(&file, 7, &second).unwrap();
    place.run("webhook revoke webhook:2").succeeded();
    assert!(matches!(webhook(&file, 7, &second), Err(CredentialsError::Invalid)));
    place.run("webhook list").succeeded().answered("");
}

#[test]
fn a_token_that_is_added_works_until_it_is_revoked() {
    let place = Place::empty();
    let file = place.path(FILE);
    let added =
        place.run("token add --user 7 --expires-in 60").said("token:1 works for 60 seconds");
    let added = secret(added);
    let by_default = secret(place.run("token add --user 8").said("for 3600 seconds"));
    assert_eq!(token(&file, &added).unwrap().user.get(), 7);
    place.run("token revoke 1").succeeded().answered("");
    assert!(matches!(token(&file, &added), Err(CredentialsError::Invalid)));
    assert_eq!(token(&file, &by_default).unwrap().user.get(), 8);
}

#[test]
fn a_list_shows_all_but_the_secrets() {
    let place = Place::empty();
    let mut secrets = Vec::new();
    for line in
        ["webhook add --user 7", "token add --user 8 --expires-in 60", "webhook add --user 9"]
    {
        secrets.push(secret(place.run(line)));
    }
    let webhooks = place.run("webhook list").succeeded();
    let tokens = place.run("token list").succeeded();
    for secret in &secrets {
        assert!(!webhooks.out.contains(secret) && !tokens.out.contains(secret));
    }
    let shown = |ran: &Ran| {
        let field = |line: &Value, name: &str| line[name].clone();
        let lines = ran.lines();
        let fields = lines.iter().map(|line| (field(line, "id"), field(line, "user")));
        fields.collect::<Vec<_>>()
    };
    assert_eq!(shown(&webhooks), [("webhook:1".into(), 7.into()), ("webhook:3".into(), 9.into())]);
    assert_eq!(shown(&tokens), [("token:2".into(), 8.into())]);
    let webhook = &webhooks.lines()[0];
    assert_eq!(webhook["scopes"], serde_json::json!(["imopenlines"]));
    assert_eq!(webhook.get("expires_at"), None);
    let token = &tokens.lines()[0];
    for time in ["created_at", "expires_at"] {
        token[time].as_str().unwrap().parse::<crm_chat_domain::Timestamp>().unwrap();
    }
}

#[test]
fn credentials_without_a_scope_can_be_issued() {
    let place = Place::empty();
    let secret = secret(place.run("webhook add --user 7 --scope="));
    let grant = webhook(&place.path(FILE), 7, &secret).unwrap();
    assert_eq!(scopes(&grant), [] as [&str; 0]);
}

#[test]
fn user_who_cannot_call_is_warned_about() {
    let place = Place::holding(WORLD);
    for kind in ["webhook", "token"] {
        for user in [40, 99] {
            let ran = place.run(&format!("{kind} add --user {user}")).succeeded();
            let warning = format!(
                "warning: user {user} is not an active user of sqlite:crm-chat.db: calls are \
                 answered `authorization_error`\nhint: pass {{\"add_user\": {{\"id\": {user}, \
                 \"active\": true}}}} to `crm-chat edit`"
            );
            secret(ran.said(&warning));
        }
        let ran = place.run(&format!("{kind} add --user 1"));
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    // The hint is right.
    let added = r#"{"add_user": {"id": 99, "active": true}}"#;
    place.feed("edit", added).succeeded();
    let ran = place.run("webhook add --user 99");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
}

#[test]
fn user_is_not_looked_up_in_a_store_that_cannot_be_opened() {
    let place = Place::empty();
    place.write("notes.txt", "not a database");
    for store in ["sqlite:none.db", "sqlite:notes.txt"] {
        let ran = place.run(&format!("webhook add --user 1 --store {store}"));
        let note = format!("note: user 1 was not looked up in {store}: ");
        secret(ran.said(&note));
    }
    assert!(!place.path("none.db").exists());
}

#[test]
fn what_is_not_there_cannot_be_revoked() {
    let place = Place::empty();
    secret(place.run("webhook add --user 7"));
    for (line, said) in [
        ("webhook revoke 2", "refused: there is no webhook:2\nhint: `crm-chat webhook list`"),
        ("token revoke 1", "refused: there is no token:1\nhint: `crm-chat token list`"),
    ] {
        place.run(line).ended(1).said(said).answered("");
    }
    assert_eq!(place.run("webhook list").lines().len(), 1);
}

#[test]
fn bad_usage_is_explained_and_changes_nothing() {
    let place = Place::empty();
    for (line, said) in [
        ("webhook", "Usage: crm-chat webhook"),
        ("webhook add", "--user <N>"),
        ("webhook add --user -5", "from 1 to 9223372036854775807"),
        ("webhook add --user 1 --scope a,,b", "--scope <SCOPES>"),
        (
            "webhook add --user 1 --scope imopenlines,im!",
            "a scope consists of letters, digits, `_` and `.`",
        ),
        ("token add --user 1 --scope crm --scope ä", "--scope <SCOPES>"),
        ("webhook revoke token:1", "a webhook is named by its number, as `3` or `webhook:3`"),
        ("token revoke webhook:1", "a token is named by its number"),
        ("webhook revoke 99999999999999999999", "a webhook is named by its number"),
        ("token add --user 1 --expires-in 0", "--expires-in <SECONDS>"),
        ("token add --user 1 --expires-in -1", "--expires-in <SECONDS>"),
        ("token add --user 1 --expires-in 9999999999", "--expires-in <SECONDS>"),
    ] {
        place.run(line).ended(2).said(said).answered("");
    }
    assert_eq!(place.files(), [] as [&str; 0]);
}

#[test]
fn only_add_creates_a_file() {
    let place = Place::empty();
    for line in ["webhook list", "webhook revoke 1", "token list", "token revoke 1"] {
        let ran = place.run(line).ended(3).said(&format!("`{FILE}`"));
        ran.said("there is no such file\nhint: `crm-chat webhook add`");
        assert_eq!(place.files(), [] as [&str; 0], "{line}");
    }
    for (line, file) in [("webhook add --user 1", "a.db"), ("token add --user 1", "b.db")] {
        place.run(&format!("{line} --credentials {file}")).succeeded();
        assert!(place.path(file).exists());
    }
}

#[test]
fn the_file_is_named_by_the_option_else_by_the_environment_else_by_default() {
    let place = Place::empty();
    let add = |line: &str| {
        let mut program = place.program(line.split(' '));
        let output = program.env("CRM_CHAT_CREDENTIALS", "environment.db").output();
        Ran::from(output.unwrap()).succeeded();
    };
    add("webhook --credentials option.db add --user 1");
    assert_eq!(place.files(), ["option.db"]);
    add("webhook add --user 1");
    assert_eq!(place.files(), ["environment.db", "option.db"]);
    place.run("webhook add --user 1").succeeded();
    assert_eq!(place.files(), [FILE, "environment.db", "option.db"]);
}

#[test]
fn a_name_that_sqlite_takes_for_something_else_is_a_file() {
    let place = Place::empty();
    for file in [":memory:", "file:x.db?mode=memory"] {
        place.run(&format!("webhook add --user 1 --credentials {file}")).succeeded();
        let listed = place.run(&format!("webhook list --credentials {file}"));
        assert_eq!(listed.succeeded().lines().len(), 1, "{file}");
    }
    assert_eq!(place.files(), [":memory:", "file:x.db?mode=memory"]);
}

#[test]
fn a_store_of_chats_is_no_file_of_credentials() {
    let place = Place::holding("{}");
    place
        .run("webhook add --user 1 --credentials crm-chat.db")
        .ended(3)
        .said("`crm-chat.db`")
        .said("holds no credentials");
    secret(place.run("webhook add --user 1"));
    place.run(&format!("export --store sqlite:{FILE}")).ended(3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_that_could_not_be_printed_is_revoked() {
    let place = Place::empty();
    for line in ["webhook add --user 1", "token add --user 1"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.program(line.split(' ')).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
    for line in ["webhook list", "token list"] {
        place.run(line).succeeded().answered("");
    }
}

#[test]
fn help_fits_80_columns_and_names_the_file() {
    let place = Place::empty();
    for command in ["webhook", "webhook add", "token", "token add", "token revoke"] {
        let ran = place.run(&format!("{command} --help")).succeeded();
        let long = ran.out.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command}");
        for named in ["--credentials <PATH>", "CRM_CHAT_CREDENTIALS", FILE] {
            assert!(ran.out.contains(named), "{ran:?}");
        }
    }
}
