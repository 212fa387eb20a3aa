//! `serve` with a log that cannot be written: calls are answered all the same.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::place::{Place, WORLD};
use crate::serving::{Connection, PATIENCE, Serving, secret};

const DELETE: &str = "imopenlines.crm.chat.user.delete";

/// Removes a user by a call of its own and two by a batch, and stops the server.
fn assert_removals_are_answered(place: &Place, serving: Serving, secret: &str) {
    let mut connection = Connection::open(&serving.address).unwrap();
    let body = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    let (status, answer) = connection.post(&format!("/rest/1/{secret}/{DELETE}"), &body).unwrap();
    assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");

    let command = |user| format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID={user}");
    let body = json!({"cmd": {"a": command(12), "b": command(15)}});
    let (status, answer) = connection.post(&format!("/rest/1/{secret}/batch"), &body).unwrap();
    let results = &answer["result"]["result"];
    assert_eq!((status, results), (200, &json!({"a": 8773, "b": 8773})), "{answer}");

    drop(connection);
    assert_eq!(serving.stop().code(), Some(0));
    let removed: Vec<_> = place.log().iter().map(|record| record["user"].clone()).collect();
    assert_eq!(removed, [7, 12, 15]);
}

#[test]
fn removals_are_answered_while_the_log_is_on_a_full_disk() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let serving = Serving::logging_to(&place, full);
    assert_removals_are_answered(&place, serving, &secret);
}

#[test]
fn removals_are_answered_after_the_reader_of_the_log_has_left() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let (reader, writer) = io::pipe().unwrap();
    let serving = Serving::logging_to(&place, writer);
    drop(reader);
    assert_removals_are_answered(&place, serving, &secret);
}

#[test]
fn calls_are_answered_while_the_log_is_not_read_and_lost_lines_are_counted() {
    const CALLS: usize = 2000;
    /// Together they log far more than a pipe and the program's buffer hold.
    const BATCHES: usize = 400;
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let (reader, writer) = io::pipe().unwrap();
    let serving = Serving::logging_to(&place, writer);

    let mut connection = Connection::open(&serving.address).unwrap();
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

    // Once the buffer is full, each line is lost at once.
    let (status, metrics) = connection.get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(figure(&metrics, "crm_chat_log_lines_lost_total") > 0);

    // Once it is read, the log says that lines are missing.
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("log lines were lost")));
    drop(connection);
    let reading = thread::spawn(move || lines.last());
    assert_eq!(serving.stop().code(), Some(0));
    let last = reading.join().unwrap().unwrap();
    assert!(last.contains("stopped"), "{last}");
}

#[test]
fn server_stops_while_its_log_is_not_read() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let (reader, mut writer) = io::pipe().unwrap();
    // As much as a pipe holds: each further write blocks.
    writer.write_all(&vec![b'\n'; 64 << 10]).unwrap();
    let serving = Serving::logging_to(&place, writer);
    let (status, _) = Connection::open(&serving.address)
        .unwrap()
        .post(&format!("/rest/1/{secret}/server.time"), &json!({}))
        .unwrap();
    assert_eq!(status, 200);
    assert_eq!(serving.stop().code(), Some(0));
    drop(reader);
}

/// Reads a figure from the text of `/metrics`.
fn figure(metrics: &str, name: &str) -> u64 {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    value.parse().unwrap()
}

#[test]
fn figures_count_lost_lines_and_the_bytes_of_the_journal() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let serving = Serving::logging_to(&place, full);
    let mut connection = Connection::open(&serving.address).unwrap();
    let path = format!("/rest/1/{secret}/{DELETE}");
    let body = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    assert_eq!(connection.post(&path, &body).unwrap().0, 200);

    // A line is lost once writing it has failed, which may be after the answer.
    let began = Instant::now();
    let metrics = loop {
        let (_, metrics) = connection.get("/metrics").unwrap();
        if figure(&metrics, "crm_chat_log_lines_lost_total") > 0 {
            break metrics;
        }
        assert!(began.elapsed() < PATIENCE, "no lost line in {metrics}");
        thread::sleep(Duration::from_millis(5));
    };
    let journal = place.path("crm-chat.db-wal").metadata().unwrap().len();
    assert!(journal > 0);
    assert_eq!(figure(&metrics, "crm_chat_store_wal_bytes"), journal);
}
