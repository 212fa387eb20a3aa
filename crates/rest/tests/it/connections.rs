//! Connections of peers that are slow, silent, too many, or use the wrong protocol.

use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_rest::{Options, Tls};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpSocket;

use crate::log::Log;
use crate::sockets::{Client, TestServer, soon, write_pair};
use crate::support::{memory, world};

/// Requests far more data than the buffers on both sides can hold.
async fn request_much<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) {
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    client.send_bytes(request.as_bytes()).await.expect("sending succeeds");
}

fn short_write_timeout() -> Options {
    let mut options = Options::default();
    options.write_timeout = Duration::from_millis(200);
    options
}

#[tokio::test]
async fn connection_that_never_reads_its_responses_is_reset() {
    let server = TestServer::over(memory(&world()).await, short_write_timeout(), None).await;
    let mut client = server.connect().await;
    request_much(&mut client).await;
    server.wait_for_refusals("write_timeout", 1).await;
    server.wait_for_metric("crm_chat_connections_open", 1).await;
    let read = soon(client.0.read_to_end(&mut Vec::new())).await;
    read.expect_err("the connection is reset");
}

#[tokio::test]
async fn tls_connection_that_never_reads_its_responses_is_reset() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificates = write_pair(directory.path(), "server");
    let file = |name: &str| directory.path().join(name);
    let tls = Tls::from_files(file("server.crt"), file("server.key"))
        .expect("a valid certificate and key");
    let server = TestServer::over(memory(&world()).await, short_write_timeout(), Some(tls)).await;
    let connect = || async {
        let client = Client::connect_tls(server.address, certificates.clone()).await;
        client.expect("a handshake")
    };
    let mut client = connect().await;
    request_much(&mut client).await;
    let counted = "\ncrm_chat_connections_refused_total{reason=\"write_timeout\"} 1\n";
    let mut observer = connect().await;
    soon(async {
        while !observer.metrics().await.expect("the metrics").contains(counted) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let read = soon(client.0.read_to_end(&mut Vec::new())).await;
    read.expect_err("the connection is reset");
}

#[tokio::test]
async fn unread_responses_hold_bounded_memory_of_the_system() {
    const LIMIT: u64 = 512 << 10;
    let server = TestServer::over(memory(&world()).await, short_write_timeout(), None).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let stream = socket.connect(server.address).await.expect("the server accepts connections");
    let mut client = Client(BufStream::new(stream));
    let path = server.secrets.fill("/rest/1/{secret}/methods");
    client.request(&path).await.expect("a response");
    // The server reads further requests only while the buffers have room for responses. A response
    // is longer than 256 bytes with its headers, so this requests 8 MiB.
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(32 << 10);
    let sending = tokio::spawn(async move {
        let _ = client.send_bytes(request.as_bytes()).await;
        // All requests may fit into the buffers. The connection must stay open in this case, too.
        std::future::pending::<()>().await;
        drop(client);
    });
    server.wait_for_refusals("write_timeout", 1).await;
    sending.abort();
    let answered = server.metric(r#"crm_chat_calls_total{method="methods",code="OK"}"#).await;
    assert!(answered > 0, "the first request was answered");
    assert!(answered * 256 <= LIMIT, "{answered} responses were written and not read");
}

#[tokio::test]
async fn callers_are_served_although_stalled_peers_use_up_the_connection_limit() {
    let mut options = short_write_timeout();
    options.max_connections = 16;
    options.max_connections_per_peer = 16;
    let server = TestServer::over(memory(&world()).await, options, None).await;
    let mut stalled = Vec::new();
    for _ in 0..16 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let stream = socket.connect(server.address).await;
        let mut client = Client(BufStream::new(stream.expect("the server accepts connections")));
        request_much(&mut client).await;
        stalled.push(client);
    }
    // Connections are refused until the first of the stalled ones is reset.
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let calling = async {
        loop {
            let Ok(mut client) = Client::connect(server.address).await else {
                continue;
            };
            match client.request(&path).await {
                Ok((200, _)) => return,
                Ok((status, body)) => {
                    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));
                }
                Err(_) => {}
            }
        }
    };
    soon(calling).await;
    server.wait_for_refusals("write_timeout", 16).await;
}

#[tokio::test]
async fn one_peer_cannot_use_up_the_connections_of_others() {
    let mut options = Options::default();
    options.max_connections_per_peer = 2;
    let server = TestServer::over(memory(&world()).await, options, None).await;
    let mut kept = server.connect().await;
    assert_eq!(kept.request("/healthz").await.expect("a response").0, 200);
    let mut other = server.connect().await;
    assert_eq!(other.request("/healthz").await.expect("a response").0, 200);

    let mut third = server.connect().await;
    third.send("/healthz", "", b"").await.expect("sending succeeds");
    let response = soon(third.receive_raw()).await.expect("a response");
    response.assert_refusal(503, "OVERLOAD_LIMIT", "too many connections: retry later");
    third.assert_closed_cleanly().await;

    let elsewhere = Client::connect_from("127.0.0.2", server.address).await;
    let mut elsewhere = elsewhere.expect("the server accepts connections");
    assert_eq!(elsewhere.request("/healthz").await.expect("a response").0, 200);
    let metrics = elsewhere.metrics().await.expect("the metrics");
    let refused = "\ncrm_chat_connections_refused_total{reason=\"peer_limit\"} 1\n";
    assert!(metrics.contains(refused), "{metrics}");

    drop(other);
    soon(async {
        while Client::connect(server.address)
            .await
            .expect("the server accepts connections")
            .request("/healthz")
            .await
            .is_ok_and(|(status, _)| status != 200)
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(kept.request("/healthz").await.expect("a response").0, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_rejected_and_closed() {
    let mut options = Options::default();
    options.max_connections = 1;
    let server = TestServer::over(memory(&world()).await, options, None).await;
    let mut first = server.connect().await;
    assert_eq!(first.request("/healthz").await.expect("a response").0, 200);

    let mut second = server.connect().await;
    second.send("/healthz", "", b"").await.expect("sending succeeds");
    let response = soon(second.receive_raw()).await.expect("a response");
    response.assert_refusal(503, "OVERLOAD_LIMIT", "too many connections: retry later");
    second.assert_closed_cleanly().await;

    let metrics = first.metrics().await.expect("the metrics");
    for expected in [
        "\ncrm_chat_connections_refused_total{reason=\"connection_limit\"} 1\n",
        "\ncrm_chat_connections_refused_total{reason=\"peer_limit\"} 0\n",
        "\ncrm_chat_connections_accepted_total 2\n",
        "\ncrm_chat_connections_open 1\n",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
}

#[tokio::test]
async fn callers_that_half_close_get_their_responses() {
    let store = Faulty::new(memory(&world()).await);
    let server = TestServer::over(store.clone(), Options::default(), None).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(&path, "", b"").await.expect("sending succeeds");
    }
    client.0.shutdown().await.expect("shutting down the write side succeeds");
    soon(gate.reached()).await;
    // A response on another connection shows that the server has seen the end of this one.
    let mut other = server.connect().await;
    assert_eq!(other.request("/healthz").await.expect("a response").0, 200);
    gate.open();
    for _ in 0..2 {
        assert_eq!(soon(client.receive()).await.expect("a response").0, 200);
    }
    client.assert_closed_cleanly().await;
}

const MALFORMED: &str = "the head of the request is not valid HTTP/1.1";
const LONG_HEAD: &str = "the head of the request is too long or has too many headers";
const LONG_ADDRESS: &str = "the address of the request is too long";

/// Returns heads that cannot be parsed, with the expected status and description.
fn malformed_heads() -> Vec<(Vec<u8>, u16, &'static str)> {
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes()
    };
    let long = "x".repeat(70_000);
    vec![
        (b"NONSENSE\r\n\r\n".to_vec(), 400, MALFORMED),
        (get("/", "no colon\r\n"), 400, MALFORMED),
        (get("/", "content-length: 1\r\ncontent-length: 2\r\n"), 400, MALFORMED),
        (b"GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), 400, MALFORMED),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400, MALFORMED),
        (get("/", &"a: b\r\n".repeat(513)), 431, LONG_HEAD),
        (get("/", &format!("a: {long}\r\n")), 431, LONG_HEAD),
        (get(&format!("/{long}"), ""), 431, LONG_HEAD),
    ]
}

#[tokio::test]
async fn malformed_heads_get_errors_in_the_format_of_the_api() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let heads = malformed_heads();
    let count = heads.len();
    for (head, status, description) in heads {
        let shown = String::from_utf8_lossy(&head[..head.len().min(60)]).into_owned();
        let mut client = server.connect().await;
        // The response does not depend on the age of the connection.
        assert_eq!(client.request("/healthz").await.expect("a response").0, 200);
        client.send_bytes(&head).await.expect("sending succeeds");
        let response = soon(client.receive_raw()).await;
        let response = response.unwrap_or_else(|error| panic!("{error} after {shown}"));
        response.assert_refusal(status, "INVALID_REQUEST", description);
        client.0.shutdown().await.expect("shutting down the write side succeeds");
        client.assert_closed_cleanly().await;
    }
    let count = count.try_into().expect("a number");
    server.wait_for_refusals("malformed_head", count).await;
}

#[tokio::test]
async fn request_targets_beyond_the_limit_of_hyper_are_rejected() {
    let mut options = Options::default();
    options.max_head = 64 << 10;
    let server = TestServer::over(memory(&world()).await, options, None).await;
    let mut client = server.connect().await;
    let path = format!("/{}", "x".repeat(70_000));
    client.send(&path, "", b"").await.expect("sending succeeds");
    let response = soon(client.receive_raw()).await.expect("a response");
    response.assert_refusal(414, "INVALID_REQUEST", LONG_ADDRESS);
}

#[tokio::test]
async fn truncated_heads_are_rejected() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let mut client = server.connect().await;
    client.send_bytes(b"GET / HTTP/1.1\r\nhost: x\r\n").await.expect("sending succeeds");
    client.0.shutdown().await.expect("shutting down the write side succeeds");
    let response = soon(client.receive_raw()).await.expect("a response");
    response.assert_refusal(400, "INVALID_REQUEST", MALFORMED);
    client.assert_closed_cleanly().await;
}

#[tokio::test]
async fn malformed_heads_are_logged_with_peer_and_reason() {
    let (log, _guard) = Log::capture();
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let mut client = server.connect().await;
    let peer = client.0.get_ref().local_addr().expect("an address");
    client.send_bytes(b"?\r\n\r\n").await.expect("sending succeeds");
    soon(client.receive_raw()).await.expect("a response");
    let text = log.text();
    let expected = format!("connection closed peer={peer} reason=\"malformed_head\"");
    assert!(
        text.lines().any(|line| line.contains(" INFO ") && line.contains(&expected)),
        "{expected} in {text}"
    );
}

#[tokio::test]
async fn slow_heads_are_rejected_and_silent_connections_are_closed() {
    let mut options = Options::default();
    options.request_timeout = Duration::from_millis(200);
    let server = TestServer::over(memory(&world()).await, options, None).await;

    let mut slow = server.connect().await;
    slow.send_bytes(b"GET / HTTP/1.1\r\n").await.expect("sending succeeds");
    let response = soon(slow.receive_raw()).await.expect("a response");
    let expected = "the head of the request did not arrive in time";
    response.assert_refusal(408, "INVALID_REQUEST", expected);
    slow.assert_closed_cleanly().await;

    let mut silent = server.connect().await;
    silent.assert_closed_cleanly().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.request("/healthz").await.expect("a response").0, 200);
    idle.assert_closed_cleanly().await;
    server.wait_for_refusals("head_timeout", 1).await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_answered_in_plain_http() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificates = write_pair(directory.path(), "server");
    let file = |name: &str| directory.path().join(name);
    let tls = Tls::from_files(file("server.crt"), file("server.key"))
        .expect("a valid certificate and key");
    let server = TestServer::over(memory(&world()).await, Options::default(), Some(tls)).await;

    let mut plain = server.connect().await;
    plain.send("/healthz", "", b"").await.expect("sending succeeds");
    let response = soon(plain.receive_raw()).await.expect("a response");
    response.assert_refusal(400, "INVALID_REQUEST", "this port requires https");
    plain.0.shutdown().await.expect("shutting down the write side succeeds");
    plain.assert_closed_cleanly().await;

    // A malformed handshake, and a connection without any data, as from a port scanner.
    let mut broken = server.connect().await;
    broken.send_bytes(&[22, 3, 1, 0, 4, 99, 0, 0, 0]).await.expect("sending succeeds");
    let _ = soon(broken.0.read_to_end(&mut Vec::new())).await;
    drop(server.connect().await);

    let mut client = Client::connect_tls(server.address, certificates).await.expect("a handshake");
    let metrics = client.metrics().await.expect("the metrics");
    for expected in [
        "\ncrm_chat_connections_refused_total{reason=\"plain_http\"} 1\n",
        "\ncrm_chat_connections_refused_total{reason=\"tls_handshake\"} 1\n",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
    // With TLS, a malformed head is answered through TLS.
    client.send_bytes(b"?\r\n\r\n").await.expect("sending succeeds");
    let response = soon(client.receive_raw()).await.expect("a response");
    response.assert_refusal(400, "INVALID_REQUEST", MALFORMED);
}

#[tokio::test]
async fn slow_tls_handshakes_are_closed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_pair(directory.path(), "server");
    let file = |name: &str| directory.path().join(name);
    let tls = Tls::from_files(file("server.crt"), file("server.key"))
        .expect("a valid certificate and key");
    let mut options = Options::default();
    options.request_timeout = Duration::from_millis(200);
    let (log, _guard) = Log::capture();
    let server = TestServer::over(memory(&world()).await, options, Some(tls)).await;
    for begin in [&[22, 3, 1, 1][..], &[]] {
        let mut client = server.connect().await;
        client.send_bytes(begin).await.expect("sending succeeds");
        client.assert_closed_cleanly().await;
    }
    let text = log.text();
    assert_eq!(text.matches("reason=\"tls_handshake\"").count(), 2, "{text}");
}

#[tokio::test]
async fn tls_on_a_plain_port_is_closed_and_counted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificates = write_pair(directory.path(), "server");
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let connecting = soon(Client::connect_tls(server.address, certificates)).await;
    connecting.map(|_| ()).expect_err("the handshake fails");
    server.wait_for_refusals("unexpected_tls", 1).await;
    server.wait_for_refusals("malformed_head", 0).await;
}

#[tokio::test]
async fn reloaded_certificates_are_used_by_new_handshakes_only() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str| directory.path().join(name);
    let first = write_pair(directory.path(), "server");
    let tls = Tls::from_files(file("server.crt"), file("server.key"))
        .expect("a valid certificate and key");
    let server =
        TestServer::over(memory(&world()).await, Options::default(), Some(tls.clone())).await;
    let mut old = Client::connect_tls(server.address, first.clone()).await.expect("a handshake");
    assert_eq!(old.request("/healthz").await.expect("a response").0, 200);

    let second = write_pair(directory.path(), "server");
    let unchanged = Client::connect_tls(server.address, first.clone()).await;
    unchanged.map(|_| ()).expect("nothing was reloaded yet");
    tls.reload().expect("a new pair");
    let mut new =
        Client::connect_tls(server.address, second.clone()).await.expect("the new certificate");
    assert_eq!(new.request("/healthz").await.expect("a response").0, 200);
    let refused = Client::connect_tls(server.address, first).await;
    refused.map(|_| ()).expect_err("the old certificate is no longer in use");
    assert_eq!(old.request("/healthz").await.expect("a response").0, 200);

    std::fs::write(file("server.key"), "not a key").expect("writing succeeds");
    let error = tls.reload().expect_err("an unusable key");
    assert!(error.to_string().contains("server.key"), "{error}");
    let kept = Client::connect_tls(server.address, second).await;
    kept.map(|_| ()).expect("the current certificate stays in use");
}
