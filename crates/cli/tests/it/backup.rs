//! `backup`: copies of the store and of the credentials.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::server_process::{HttpConnection, ServerProcess, issue_webhook};
use crate::support::{TestDir, WORLD};

const CREDENTIALS: &str = "crm-chat-credentials.db";

#[test]
fn store_and_credentials_can_be_copied_while_a_server_uses_them() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    let mut connection = HttpConnection::open(&server.address).unwrap();
    let path = format!("/rest/1/{secret}/imopenlines.crm.chat.user.delete");
    let body = serde_json::json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    assert_eq!(connection.post(&path, &body).unwrap().0, 200);

    dir.run("backup store.bak --credentials-to credentials.bak")
        .assert_success()
        .assert_stdout("")
        .assert_stderr_has("copied sqlite:crm-chat.db to `store.bak`\n")
        .assert_stderr_has("copied `crm-chat-credentials.db` to `credentials.bak`\n");
    for file in ["store.bak", "credentials.bak"] {
        let mode = dir.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let copied = dir.run("export --store sqlite:store.bak").assert_success();
    assert_eq!(copied.stdout, dir.export());
    let listed = dir.run("webhook list --credentials credentials.bak");
    assert_eq!(listed.assert_success().stdout, dir.run("webhook list").stdout);
    let original = dir.removal_log()[0]["epoch"].clone();
    let copy = dir.run("log --store sqlite:store.bak").json_lines()[0]["epoch"].clone();
    assert_ne!(original, copy, "a copy begins a new epoch");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn store_and_credentials_can_be_copied_separately() {
    let dir = TestDir::with_store(WORLD);
    dir.run("backup a.bak").assert_success();
    dir.run("backup --credentials-to b.bak")
        .assert_status(3)
        .assert_stderr_has("`crm-chat webhook add` creates the file");
    assert!(!dir.path("b.bak").exists());

    let dir = TestDir::empty();
    issue_webhook(&dir, 1);
    dir.run("backup --credentials-to b.bak").assert_success();
    dir.run("backup a.bak").assert_status(3).assert_stderr_has("no such file");
    assert!(dir.path("b.bak").exists() && !dir.path("a.bak").exists());
    dir.run("backup").assert_status(2).assert_stderr_has("Usage: crm-chat backup");
}

#[test]
fn backup_never_replaces_a_file() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    dir.write("notes.txt", "notes");
    symlink("nowhere", dir.path("link")).unwrap();
    let before = dir.files();
    for target in ["notes.txt", "crm-chat.db", CREDENTIALS, ".", "link"] {
        for line in [
            format!("backup {target}"),
            format!("backup --credentials-to {target}"),
            format!("backup new.bak --credentials-to {target}"),
        ] {
            let finished = dir.run(&line).assert_status(2);
            finished.assert_stderr_has(&format!("error: `{target}` already exists\nhint: "));
        }
    }
    assert_eq!(dir.files(), before);
    assert_eq!(fs::read_to_string(dir.path("notes.txt")).unwrap(), "notes");
}

#[test]
fn backup_that_cannot_be_written_is_reported() {
    let dir = TestDir::with_store(WORLD);
    dir.run("backup none/a.bak").assert_status(3).assert_stderr_has("none/a.bak");
}
