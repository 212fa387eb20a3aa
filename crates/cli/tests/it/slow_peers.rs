//! `serve`: peers that send slowly or do not read, and the memory that they hold.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::serve::peak_memory;
use crate::server_process::{HttpConnection, ServerProcess, TEST_TIMEOUT, issue_webhook};
use crate::support::{TestDir, WORLD};

/// One more than the calls that are worked on at a time.
const PEERS: usize = 256 + 1;

/// The documented bound for request bodies and all that is made of them.
const BODIES: usize = 320 << 20;

/// The documented bound for one connection.
const CONNECTION: usize = 128 << 10;

/// Returns a figure, or 0 if it has not been counted yet.
fn figure(connection: &mut HttpConnection, name: &str) -> usize {
    let figures = connection.get("/metrics").unwrap().1;
    let value = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Waits until a figure is as large as expected.
fn wait_for(connection: &mut HttpConnection, name: &str, least: usize) {
    let began = Instant::now();
    while figure(connection, name) < least {
        assert!(began.elapsed() < TEST_TIMEOUT, "`{name}` stays below {least}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A server, and a webhook of it.
fn serve() -> (TestDir, String, ServerProcess) {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    (dir, secret, server)
}

/// Opens a connection and sends bytes, of which the server may read a part only.
fn send(server: &ServerProcess, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let _ = stream.write(bytes).unwrap();
    stream
}

/// Asserts that a caller is answered, each time on a new connection.
fn assert_served(server: &ServerProcess, secret: &str) {
    let path = format!("/rest/1/{secret}/profile");
    for _ in 0..20 {
        let mut connection = HttpConnection::open(&server.address).unwrap();
        let (status, answer) = connection.post(&path, &json!({})).unwrap();
        assert_eq!((status, &answer["result"]["ID"]), (200, &json!("1")), "{answer}");
    }
}

#[test]
fn caller_is_served_beside_more_slow_bodies_than_calls_at_a_time() {
    let (_dir, secret, server) = serve();
    let mut observer = HttpConnection::open(&server.address).unwrap();
    for path in [format!("/rest/1/{secret}/profile"), "/rest/profile".to_owned()] {
        // What is sent first earns the body the longest time that it may take.
        let sent = "x".repeat(10 << 10);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 20000\r\n\r\n{sent}"
        );
        let slow: Vec<_> = (0..PEERS).map(|_| send(&server, request.as_bytes())).collect();
        wait_for(&mut observer, "crm_chat_bodies_arriving", PEERS);
        assert_served(&server, &secret);
        drop(slow);
    }
    assert!(peak_memory(&server) <= BODIES + 2 * PEERS * CONNECTION, "{}", peak_memory(&server));
}

#[test]
fn caller_is_served_beside_more_unread_answers_than_calls_at_a_time() {
    let (_dir, secret, server) = serve();
    let mut observer = HttpConnection::open(&server.address).unwrap();
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let unread: Vec<_> = (0..PEERS).map(|_| send(&server, request.as_bytes())).collect();
    wait_for(&mut observer, "crm_chat_connections_open", PEERS + 1);
    assert_served(&server, &secret);
    assert!(peak_memory(&server) <= PEERS * CONNECTION, "{}", peak_memory(&server));
    drop(unread);
}

#[test]
fn bodies_together_hold_no_more_memory_than_documented() {
    const BODY: usize = (1 << 20) - 64;
    const SENDERS: usize = 400;
    let (_dir, secret, server) = serve();
    let mut observer = HttpConnection::open(&server.address).unwrap();
    let body = format!("{{\"cmd\":{{\"a\":\"profile?x={}\"}}", "y".repeat(BODY));
    let head = format!(
        "POST /rest/1/{secret}/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len() + 1
    );
    // All but the last byte of more bodies than have room, so that the oldest are given up.
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
        let sent =
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        if sent.is_ok() {
            senders.push(stream);
        }
    }
    let shed = "crm_chat_calls_shed_total{reason=\"body_memory\"}";
    wait_for(&mut observer, shed, SENDERS / 2);
    for stream in &mut senders {
        // Those that were given up are closed.
        let _ = stream.write_all(b"}");
    }
    wait_for(&mut observer, "crm_chat_calls_total{method=\"batch\",code=\"OK\"}", 1);
    assert!(peak_memory(&server) <= BODIES, "{} bytes, more than {BODIES}", peak_memory(&server));
    assert_served(&server, &secret);
}
