//! `serve`: files that are replaced, deleted or migrated under a running server.

#![cfg(unix)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server_process::{
    HttpConnection, ServerProcess, TEST_TIMEOUT, issue_webhook, wait_for_log,
};
use crate::support::{TestDir, WORLD};

const STORE: &str = "crm-chat.db";
const CREDENTIALS: &str = "crm-chat-credentials.db";
const REPLACED: &str = "the file was replaced or deleted while it was open";

/// A server whose files have been used by a call, and copies of them.
struct Scene {
    dir: TestDir,
    path: String,
    server: ServerProcess,
}

impl Scene {
    fn set() -> Self {
        let dir = TestDir::with_store(WORLD);
        let secret = issue_webhook(&dir, 1);
        dir.run("backup store.bak --credentials-to credentials.bak").assert_success();
        let server = ServerProcess::start(&dir);
        let path = format!("/rest/1/{secret}/imopenlines.crm.chat.user.delete");
        let scene = Self { dir, path, server };
        let (status, answer) = scene.remove(7);
        assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
        scene
    }

    /// Asks for a removal over a new connection.
    fn remove(&self, user: i64) -> (u16, Value) {
        let removal = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": user});
        let mut connection = HttpConnection::open(&self.server.address).unwrap();
        connection.post(&self.path, &removal).unwrap()
    }

    fn delete(&self, name: &str) {
        for end in ["", "-wal", "-shm"] {
            fs::remove_file(self.dir.path(&format!("{name}{end}"))).unwrap();
        }
    }

    fn put(&self, backup: &str, name: &str) {
        fs::rename(self.dir.path(backup), self.dir.path(name)).unwrap();
    }

    /// Asserts that a removal is refused, by a status and with a cause in the log.
    #[track_caller]
    fn assert_refused(&self, expected: (u16, &str), cause: &str) {
        let (status, answer) = self.remove(12);
        assert_eq!((status, &answer["error"]), (expected.0, &json!(expected.1)), "{answer}");
        wait_for_log(&self.dir, cause);
    }

    /// Asserts that `/readyz` answers 503 once the last call that went well is old.
    #[track_caller]
    fn assert_becomes_unready(&self) {
        let mut connection = HttpConnection::open(&self.server.address).unwrap();
        let began = Instant::now();
        while connection.get("/readyz").unwrap().0 != 503 {
            assert!(began.elapsed() < TEST_TIMEOUT, "the server stays ready");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

const SHED: (u16, &str) = (503, "OVERLOAD_LIMIT");

#[test]
fn webhook_that_is_revoked_in_a_file_put_under_the_server_is_not_accepted() {
    let scene = Scene::set();
    scene.delete(CREDENTIALS);
    scene.assert_refused(SHED, REPLACED);
    scene.put("credentials.bak", CREDENTIALS);
    scene.dir.run("webhook revoke 1").assert_success();
    scene.assert_refused(SHED, REPLACED);
    assert_eq!(scene.dir.removal_log().len(), 1);
    assert_eq!(scene.server.stop().code(), Some(0));
}

#[test]
fn removals_are_refused_once_the_store_is_deleted_or_replaced() {
    let scene = Scene::set();
    scene.delete(STORE);
    scene.assert_refused(SHED, REPLACED);
    scene.put("store.bak", STORE);
    scene.assert_refused(SHED, REPLACED);
    scene.assert_becomes_unready();
    assert_eq!(scene.dir.removal_log().len(), 0);
    assert_eq!(scene.server.stop().code(), Some(0));
}

#[test]
fn calls_are_refused_once_a_newer_version_has_migrated_a_file() {
    for name in [STORE, CREDENTIALS] {
        let scene = Scene::set();
        let newer = rusqlite::Connection::open(scene.dir.path(name)).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        let failed = (500, "INTERNAL_SERVER_ERROR");
        scene.assert_refused(failed, "its schema has version 99, and this program knows up to 1");
        if name == STORE {
            scene.assert_becomes_unready();
            let removals = "SELECT count(*) FROM removals";
            assert_eq!(newer.query_row(removals, [], |row| row.get(0)), Ok(1));
        }
        drop(newer);
        assert_eq!(scene.server.stop().code(), Some(0));
    }
}

#[test]
fn server_is_ready_while_another_process_holds_the_write_lock() {
    let scene = Scene::set();
    let other = rusqlite::Connection::open(scene.dir.path(STORE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut connection = HttpConnection::open(&scene.server.address).unwrap();
    // For longer than calls that went well count.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert_eq!(connection.get("/readyz").unwrap(), (200, "ready\n".to_owned()));
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(scene.remove(12).0, 200);
}
