//! `webhook` and `token`: adding, listing and revoking credentials.

use std::path::Path;

use crm_chat_credentials::{Credentials, CredentialsError, Grant, SqliteCredentials};
use crm_chat_domain::UserId;
use futures_lite::future::block_on;
use serde_json::Value;

use crate::support::{Finished, TestDir, WORLD};

const FILE: &str = "crm-chat-credentials.db";

/// Returns the secret that was printed, and asserts that nothing else was.
#[track_caller]
fn printed_secret(finished: Finished) -> String {
    let finished = finished.assert_success();
    let secret = finished.stdout.strip_suffix('\n').unwrap();
    assert!(secret.len() >= 32 && secret.chars().all(|char| char.is_ascii_alphanumeric()));
    assert!(!finished.stderr.contains(secret), "{finished:?}");
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
fn added_webhook_is_valid_until_it_is_revoked() {
    let dir = TestDir::empty();
    let file = dir.path(FILE);
    let first =
        dir.run("webhook add --user 7").assert_stderr_has("webhook:1 is valid for /rest/7/SECRET/");
    let first = printed_secret(first);
    let second = printed_secret(dir.run("webhook add --user 7 --scope crm,imopenlines --scope im"));
    let grant = webhook(&file, 7, &first).unwrap();
    assert_eq!((grant.user.get(), scopes(&grant)), (7, vec!["imopenlines"]));
    let grant = webhook(&file, 7, &second).unwrap();
    assert_eq!(scopes(&grant), ["crm", "im", "imopenlines"]);
    assert!(webhook(&file, 8, &first).is_err());

    dir.run("webhook revoke 1").assert_success().assert_stdout("");
    assert!(matches!(webhook(&file, 7, &first), Err(CredentialsError::Invalid)));
    webhook(&file, 7, &second).unwrap();
    dir.run("webhook revoke webhook:2").assert_success();
    assert!(matches!(webhook(&file, 7, &second), Err(CredentialsError::Invalid)));
    dir.run("webhook list").assert_success().assert_stdout("");
}

#[test]
fn added_token_is_valid_until_it_is_revoked() {
    let dir = TestDir::empty();
    let file = dir.path(FILE);
    let added = dir
        .run("token add --user 7 --expires-in 60")
        .assert_stderr_has("token:1 is valid for 60 seconds");
    let added = printed_secret(added);
    let by_default =
        printed_secret(dir.run("token add --user 8").assert_stderr_has("for 3600 seconds"));
    assert_eq!(token(&file, &added).unwrap().user.get(), 7);
    dir.run("token revoke 1").assert_success().assert_stdout("");
    assert!(matches!(token(&file, &added), Err(CredentialsError::Invalid)));
    assert_eq!(token(&file, &by_default).unwrap().user.get(), 8);
}

#[test]
fn list_shows_everything_but_the_secrets() {
    let dir = TestDir::empty();
    let mut secrets = Vec::new();
    for line in
        ["webhook add --user 7", "token add --user 8 --expires-in 60", "webhook add --user 9"]
    {
        secrets.push(printed_secret(dir.run(line)));
    }
    let webhooks = dir.run("webhook list").assert_success();
    let tokens = dir.run("token list").assert_success();
    for secret in &secrets {
        assert!(!webhooks.stdout.contains(secret) && !tokens.stdout.contains(secret));
    }
    let shown = |finished: &Finished| {
        let field = |line: &Value, name: &str| line[name].clone();
        let lines = finished.json_lines();
        let fields = lines.iter().map(|line| (field(line, "id"), field(line, "user")));
        fields.collect::<Vec<_>>()
    };
    assert_eq!(shown(&webhooks), [("webhook:1".into(), 7.into()), ("webhook:3".into(), 9.into())]);
    assert_eq!(shown(&tokens), [("token:2".into(), 8.into())]);
    let webhook = &webhooks.json_lines()[0];
    assert_eq!(webhook["scopes"], serde_json::json!(["imopenlines"]));
    assert_eq!(webhook.get("expires_at"), None);
    let token = &tokens.json_lines()[0];
    for time in ["created_at", "expires_at"] {
        token[time].as_str().unwrap().parse::<crm_chat_domain::Timestamp>().unwrap();
    }
}

#[test]
fn credentials_without_a_scope_can_be_issued() {
    let dir = TestDir::empty();
    let secret = printed_secret(dir.run("webhook add --user 7 --scope="));
    let grant = webhook(&dir.path(FILE), 7, &secret).unwrap();
    assert_eq!(scopes(&grant), [] as [&str; 0]);
}

#[test]
fn add_warns_about_a_user_who_is_not_active() {
    let dir = TestDir::with_store(WORLD);
    for kind in ["webhook", "token"] {
        for user in [40, 99] {
            let finished = dir.run(&format!("{kind} add --user {user}")).assert_success();
            let warning = format!(
                "warning: user {user} is not an active user of sqlite:crm-chat.db: calls are \
                 answered `authorization_error`\nhint: pass {{\"add_user\": {{\"id\": {user}, \
                 \"active\": true}}}} to `crm-chat edit`"
            );
            printed_secret(finished.assert_stderr_has(&warning));
        }
        let finished = dir.run(&format!("{kind} add --user 1"));
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    }
    // Following the hint removes the warning.
    let added = r#"{"add_user": {"id": 99, "active": true}}"#;
    dir.run_with_stdin("edit", added).assert_success();
    let finished = dir.run("webhook add --user 99");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
}

#[test]
fn add_succeeds_if_the_store_cannot_be_opened() {
    let dir = TestDir::empty();
    dir.write("notes.txt", "not a database");
    for store in ["sqlite:none.db", "sqlite:notes.txt"] {
        let finished = dir.run(&format!("webhook add --user 1 --store {store}"));
        let note = format!("note: user 1 was not looked up in {store}: ");
        printed_secret(finished.assert_stderr_has(&note));
    }
    assert!(!dir.path("none.db").exists());
}

#[test]
fn revoking_an_unknown_credential_is_refused() {
    let dir = TestDir::empty();
    printed_secret(dir.run("webhook add --user 7"));
    for (line, message) in [
        ("webhook revoke 2", "refused: there is no webhook:2\nhint: `crm-chat webhook list`"),
        ("token revoke 1", "refused: there is no token:1\nhint: `crm-chat token list`"),
    ] {
        dir.run(line).assert_status(1).assert_stderr_has(message).assert_stdout("");
    }
    assert_eq!(dir.run("webhook list").json_lines().len(), 1);
}

#[test]
fn bad_usage_is_explained_and_changes_nothing() {
    let dir = TestDir::empty();
    for (line, message) in [
        ("webhook", "Usage: crm-chat webhook"),
        ("webhook add", "--user <N>"),
        ("webhook add --user -5", "from 1 to 9223372036854775807"),
        ("webhook add --user 1 --scope a,,b", "--scope <SCOPES>"),
        (
            "webhook add --user 1 --scope imopenlines,im!",
            "a scope consists of letters, digits, `_` and `.`",
        ),
        ("token add --user 1 --scope crm --scope ä", "--scope <SCOPES>"),
        ("webhook revoke token:1", "expected the number of a webhook, such as `3` or `webhook:3`"),
        ("token revoke webhook:1", "expected the number of a token"),
        ("webhook revoke 99999999999999999999", "expected the number of a webhook"),
        ("token add --user 1 --expires-in 0", "--expires-in <SECONDS>"),
        ("token add --user 1 --expires-in -1", "--expires-in <SECONDS>"),
        ("token add --user 1 --expires-in 9999999999", "--expires-in <SECONDS>"),
    ] {
        dir.run(line).assert_status(2).assert_stderr_has(message).assert_stdout("");
    }
    assert_eq!(dir.files(), [] as [&str; 0]);
}

#[test]
fn only_add_creates_a_file() {
    let dir = TestDir::empty();
    for line in ["webhook list", "webhook revoke 1", "token list", "token revoke 1"] {
        let finished = dir.run(line).assert_status(3).assert_stderr_has(&format!("`{FILE}`"));
        finished.assert_stderr_has("there is no such file\nhint: `crm-chat webhook add`");
        assert_eq!(dir.files(), [] as [&str; 0], "{line}");
    }
    for (line, file) in [("webhook add --user 1", "a.db"), ("token add --user 1", "b.db")] {
        dir.run(&format!("{line} --credentials {file}")).assert_success();
        assert!(dir.path(file).exists());
    }
}

#[test]
fn file_is_selected_by_option_then_environment_then_default() {
    let dir = TestDir::empty();
    let add = |line: &str| {
        let mut program = dir.command(line.split(' '));
        let output = program.env("CRM_CHAT_CREDENTIALS", "environment.db").output();
        Finished::from(output.unwrap()).assert_success();
    };
    add("webhook --credentials option.db add --user 1");
    assert_eq!(dir.files(), ["option.db"]);
    add("webhook add --user 1");
    assert_eq!(dir.files(), ["environment.db", "option.db"]);
    dir.run("webhook add --user 1").assert_success();
    assert_eq!(dir.files(), [FILE, "environment.db", "option.db"]);
}

#[test]
fn name_with_a_special_meaning_in_sqlite_is_a_file() {
    let dir = TestDir::empty();
    for file in [":memory:", "file:x.db?mode=memory"] {
        dir.run(&format!("webhook add --user 1 --credentials {file}")).assert_success();
        let listed = dir.run(&format!("webhook list --credentials {file}"));
        assert_eq!(listed.assert_success().json_lines().len(), 1, "{file}");
    }
    assert_eq!(dir.files(), [":memory:", "file:x.db?mode=memory"]);
}

#[test]
fn store_is_not_accepted_as_a_file_of_credentials() {
    let dir = TestDir::with_store("{}");
    dir.run("webhook add --user 1 --credentials crm-chat.db")
        .assert_status(3)
        .assert_stderr_has("`crm-chat.db`")
        .assert_stderr_has("holds no credentials");
    printed_secret(dir.run("webhook add --user 1"));
    dir.run(&format!("export --store sqlite:{FILE}")).assert_status(3);
}

#[cfg(target_os = "linux")]
#[test]
fn secret_that_could_not_be_printed_is_revoked() {
    let dir = TestDir::empty();
    for line in ["webhook add --user 1", "token add --user 1"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = dir.command(line.split(' ')).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
    }
    for line in ["webhook list", "token list"] {
        dir.run(line).assert_success().assert_stdout("");
    }
}

#[test]
fn help_fits_80_columns_and_mentions_the_file() {
    let dir = TestDir::empty();
    for command in ["webhook", "webhook add", "token", "token add", "token revoke"] {
        let finished = dir.run(&format!("{command} --help")).assert_success();
        let long = finished.stdout.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command}");
        for expected in ["--credentials <PATH>", "CRM_CHAT_CREDENTIALS", FILE] {
            assert!(finished.stdout.contains(expected), "{finished:?}");
        }
    }
}
