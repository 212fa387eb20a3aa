//! Measures the memory that slow peers hold. This test is a program of its own, because Linux
//! reports the resident set of a whole process.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::Duration;

use crm_chat_credentials::{CredentialStore, MemoryCredentials};
use crm_chat_domain::UserId;
use crm_chat_memory::Memory;
use crm_chat_rest::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The number of peers that do not read, which exceeds the limit of concurrent requests.
const STALLED: usize = 260;

/// The number of peers that do not complete the head of their request. All peers together stay
/// within the limit of one peer address and, with both ends in this process, the limit of open
/// files.
const HEADS: usize = 200;

/// The documented memory limit of one connection.
const BYTES_PER_CONNECTION: usize = 128 << 10;

/// Returns the peak resident set size of this process in bytes.
fn peak_resident_set() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: usize = kilobytes.expect("a peak").parse().expect("a number");
    kilobytes << 10
}

/// Sends requests whose responses exceed all buffers on the way, and reads none of them.
async fn stall(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("the server accepts connections");
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let sent = stream.write_all(requests.as_bytes()).await;
    sent.expect("sending succeeds");
    stream
}

/// Sends an incomplete head of almost the maximum size.
async fn begin_head(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(60 << 10));
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("sending succeeds");
    stream
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("sending succeeds");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("a response");
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_peers_hold_bounded_memory_and_block_no_caller() {
    let mut options = Options::default();
    options.write_timeout = Duration::from_secs(5);
    assert!(STALLED > options.max_concurrent_requests);
    let credentials = MemoryCredentials::new().expect("randomness is available");
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
    let response = get(address, &scope).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let before = peak_resident_set();
    let mut peers = Vec::new();
    for _ in 0..HEADS {
        peers.push(begin_head(address).await);
    }
    for _ in 0..STALLED {
        peers.push(stall(address).await);
    }
    let counted = format!("{{reason=\"write_timeout\"}} {STALLED}\n");
    let all_reset = async {
        while !get(address, "/metrics").await.contains(&counted) {
            let response = get(address, &scope).await;
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        }
    };
    let all_reset = tokio::time::timeout(Duration::from_mins(2), all_reset).await;
    all_reset.expect("each connection is reset");
    let held = peak_resident_set() - before;
    let bound = (STALLED + HEADS) * BYTES_PER_CONNECTION;
    assert!(held <= bound, "{held} bytes are held, of at most {bound}");
    running.abort();
}
