//! The memory that slow peers hold. It is a program of its own, so that its resident set is that of
//! the server alone, which Linux reports.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::Duration;

use crm_chat_credentials::{CredentialStore, MemoryCredentials};
use crm_chat_domain::UserId;
use crm_chat_memory::Memory;
use crm_chat_rest::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The number of peers that do not read: more than the calls that are worked on at a time.
const STALLED: usize = 260;

/// The number of peers that do not end the head of their request. Together with the others they fit
/// into the limits of one peer address and of open files, which both ends count against here.
const HEADS: usize = 200;

/// The documented bound for one connection.
const BYTES_PER_CONNECTION: usize = 128 << 10;

/// Returns the largest resident set that this process has had, in bytes.
fn peak_resident_set() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: usize = kilobytes.expect("a peak").parse().expect("a number");
    kilobytes << 10
}

/// Sends requests whose answers are far larger than all buffers on the way, and reads none.
async fn stall(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("the server accepts");
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let sent = stream.write_all(requests.as_bytes()).await;
    sent.expect("it is sent");
    stream
}

/// Sends almost as much of a head as is read, and does not end it.
async fn begin_head(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(60 << 10));
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("it is sent");
    stream
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_and_unfinished_heads_hold_bounded_memory_and_exclude_no_caller() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_secs(5);
    assert!(STALLED > options.max_concurrent_requests);
    let credentials = MemoryCredentials::new().expect("there is randomness");
    let user = UserId::new(1).expect("an id");
    let webhook = credentials.add_webhook(user, ["imopenlines"].into_iter().collect());
    let secret = webhook.await.expect("a webhook").secret;
    let store = Memory::new();
    let users = serde_json::json!({"users": [{"id": 1, "active": true}]});
    let world = serde_json::from_value(users).expect("a snapshot");
    store.load(&world).await.expect("the world is valid");
    let server = Server::bind("127.0.0.1:0", store, credentials, options).await;
    let server = server.expect("a free port");
    let address = server.local_addr().expect("an address");
    let running = tokio::spawn(server.run(std::future::pending()));

    let scope = format!("/rest/1/{}/scope", secret.expose());
    let answer = get(address, &scope).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let before = peak_resident_set();
    let mut peers = Vec::new();
    for _ in 0..HEADS {
        peers.push(begin_head(address).await);
    }
    for _ in 0..STALLED {
        peers.push(stall(address).await);
    }
    let cut = format!("{{reason=\"write_timeout\"}} {STALLED}\n");
    let all_cut = async {
        while !get(address, "/metrics").await.contains(&cut) {
            let answer = get(address, &scope).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    };
    let all_cut = tokio::time::timeout(Duration::from_mins(2), all_cut).await;
    all_cut.expect("each connection is cut");
    let held = peak_resident_set() - before;
    let bound = (STALLED + HEADS) * BYTES_PER_CONNECTION;
    assert!(held <= bound, "{held} bytes are held, of at most {bound}");
    running.abort();
}
