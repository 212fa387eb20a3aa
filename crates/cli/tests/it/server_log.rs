//! `serve` with a log that cannot be written: requests are answered all the same.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server_process::{HttpConnection, ServerProcess, TEST_TIMEOUT, issue_webhook};
use crate::support::{TestDir, WORLD};

const DELETE: &str = "imopenlines.crm.chat.user.delete";

/// Removes one user by a call and two by a batch, stops the server, and asserts that all answers
/// are successes.
fn assert_removals_are_answered(dir: &TestDir, server: ServerProcess, secret: &str) {
    let mut connection = HttpConnection::open(&server.address).unwrap();
    let body = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    let (status, answer) = connection.post(&format!("/rest/1/{secret}/{DELETE}"), &body).unwrap();
    assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");

    let command = |user| format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID={user}");
    let body = json!({"cmd": {"a": command(12), "b": command(15)}});
    let (status, answer) = connection.post(&format!("/rest/1/{secret}/batch"), &body).unwrap();
    let results = &answer["result"]["result"];
    assert_eq!((status, results), (200, &json!({"a": 8773, "b": 8773})), "{answer}");

    drop(connection);
    assert_eq!(server.stop().code(), Some(0));
    let removed: Vec<_> = dir.removal_log().iter().map(|record| record["user"].clone()).collect();
    assert_eq!(removed, [7, 12, 15]);
}

#[test]
fn removals_are_answered_while_the_log_is_on_a_full_disk() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = ServerProcess::logging_to(&dir, full);
    assert_removals_are_answered(&dir, server, &secret);
}

#[test]
fn removals_are_answered_after_the_reader_of_the_log_has_exited() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let (reader, writer) = io::pipe().unwrap();
    let server = ServerProcess::logging_to(&dir, writer);
    drop(reader);
    assert_removals_are_answered(&dir, server, &secret);
}

#[test]
fn calls_are_answered_while_the_log_is_not_read_and_lost_lines_are_counted() {
    const CALLS: usize = 2000;
    /// They log far more than fits into a pipe and the program's buffer.
    const BATCHES: usize = 400;
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let (reader, writer) = io::pipe().unwrap();
    let server = ServerProcess::logging_to(&dir, writer);

    let mut connection = HttpConnection::open(&server.address).unwrap();
    for _ in 0..CALLS {
        let (status, answer) =
            connection.post(&format!("/rest/1/{secret}/server.time"), &json!({})).unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(connection.get("/healthz").unwrap().0, 200);

    let batch = json!({"cmd": vec!["server.time"; 50]});
    for _ in 0..BATCHES {
        let (status, answer) = connection.post(&format!("/rest/1/{secret}/batch"), &batch).unwrap();
        assert_eq!(status, 200, "{answer}");
    }

    // Once the buffer is full, each further line is lost immediately.
    let (status, metrics) = connection.get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(metric(&metrics, "crm_chat_log_lines_lost_total") > 0);

    // Once the log is read, it reports that lines are missing.
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("log lines were lost")));
    drop(connection);
    let reading = thread::spawn(move || lines.last());
    assert_eq!(server.stop().code(), Some(0));
    let last = reading.join().unwrap().unwrap();
    assert!(last.contains("stopped"), "{last}");
}

#[test]
fn server_stops_while_its_log_is_not_read() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let (reader, mut writer) = io::pipe().unwrap();
    // Fill the pipe, so that each further write blocks.
    writer.write_all(&vec![b'\n'; 64 << 10]).unwrap();
    let server = ServerProcess::logging_to(&dir, writer);
    let (status, _) = HttpConnection::open(&server.address)
        .unwrap()
        .post(&format!("/rest/1/{secret}/server.time"), &json!({}))
        .unwrap();
    assert_eq!(status, 200);
    assert_eq!(server.stop().code(), Some(0));
    drop(reader);
}

/// Returns the value of a metric from the text of `/metrics`.
fn metric(metrics: &str, name: &str) -> u64 {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    value.parse().unwrap()
}

#[test]
fn metrics_count_lost_lines_and_the_bytes_of_the_write_ahead_log() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = ServerProcess::logging_to(&dir, full);
    let mut connection = HttpConnection::open(&server.address).unwrap();
    let path = format!("/rest/1/{secret}/{DELETE}");
    let body = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    assert_eq!(connection.post(&path, &body).unwrap().0, 200);

    // A line is counted as lost once writing it has failed, which may be after the answer.
    let began = Instant::now();
    let metrics = loop {
        let (_, metrics) = connection.get("/metrics").unwrap();
        if metric(&metrics, "crm_chat_log_lines_lost_total") > 0 {
            break metrics;
        }
        assert!(began.elapsed() < TEST_TIMEOUT, "no lost line in {metrics}");
        thread::sleep(Duration::from_millis(5));
    };
    let wal_bytes = dir.path("crm-chat.db-wal").metadata().unwrap().len();
    assert!(wal_bytes > 0);
    assert_eq!(metric(&metrics, "crm_chat_store_wal_bytes"), wal_bytes);
}
