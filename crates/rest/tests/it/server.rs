//! The server on real sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_domain::Snapshot;
use crm_chat_rest::{Options, Tls};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::sockets::{Client, TestServer, soon, write_pair};
use crate::support::{DELETE, TestRouter, memory, world};

/// Returns a world with many chat members, so that many can be removed.
fn crowd() -> Snapshot {
    let mut world = world();
    for id in 1000..6000 {
        let member = id.try_into().expect("an id");
        world.users.push(crm_chat_domain::snapshot::User {
            id: member,
            active: true,
            kind: crm_chat_domain::snapshot::UserKind::Human,
        });
        world.chats[1].members.push(member);
    }
    world
}

/// Removes users until the server stops. Returns those whose removal was confirmed.
async fn remove_until_stopped(address: SocketAddr, path: String, next: Arc<AtomicI64>) -> Vec<i64> {
    let mut removed = Vec::new();
    while let Ok(mut client) = Client::connect(address).await {
        loop {
            let user = next.fetch_add(1, Ordering::SeqCst);
            match client.request(&format!("{path}{user}")).await {
                Ok((200, _)) => removed.push(user),
                Ok((status, body)) => {
                    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")), "{body}");
                    break;
                }
                Err(_) => break,
            }
        }
    }
    removed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_under_load_loses_no_response() {
    let store = memory(&crowd()).await;
    let server = TestServer::over(store.clone(), Options::default(), None).await;
    let next = Arc::new(AtomicI64::new(1000));
    let path = format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=");
    let path = server.secrets.fill(&path);
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(remove_until_stopped(server.address, path.clone(), Arc::clone(&next)));
    }
    while next.load(Ordering::SeqCst) < 1200 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).expect("the server runs");
    soon(server.ended).await.expect("the server does not panic");

    let mut answered = soon(clients.join_all()).await.concat();
    answered.sort_unstable();
    let log = store.log(0, usize::MAX).await;
    let mut logged: Vec<_> = log.iter().map(|entry| entry.record.user.get()).collect();
    logged.sort_unstable();
    assert!(answered.len() > 100, "the shutdown happened under load");
    assert_eq!(answered, logged, "exactly the confirmed removals were made");
}

#[tokio::test]
async fn shutdown_completes_accepted_requests_and_rejects_new_ones() {
    let store = Faulty::new(memory(&world()).await);
    let server = TestServer::over(store.clone(), Options::default(), None).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut slow = server.connect().await;
    let mut kept = server.connect().await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    assert_eq!(kept.request("/healthz").await.expect("a response").0, 200);
    slow.send(&path, "", b"").await.expect("sending succeeds");
    soon(gate.reached()).await;

    server.stop.send(()).expect("the server runs");
    // The shutdown takes effect a moment after it is requested.
    while soon(kept.request("/readyz")).await.expect("a response").0 != 503 {
        tokio::task::yield_now().await;
    }
    let (status, body) = soon(kept.request(&path)).await.expect("a response on a kept connection");
    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));
    assert_eq!(body["error_description"], "the server is shutting down: retry later");
    let mut late =
        Client::connect(server.address).await.expect("the server still accepts connections");
    let (status, body) = soon(late.request(&path)).await.expect("a response on a new connection");
    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));

    gate.open();
    let (status, body) = soon(slow.receive()).await.expect("a response to the accepted request");
    assert_eq!((status, &body["result"]), (200, &json!(["imopenlines"])));
    soon(server.ended).await.expect("the server does not panic");
    assert!(Client::connect(server.address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn shutdown_aborts_requests_after_its_timeout() {
    let store = Faulty::new(memory(&world()).await);
    let mut options = Options::default();
    options.shutdown_timeout = Duration::from_millis(50);
    let server = TestServer::over(store.clone(), options, None).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut stuck = server.connect().await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    stuck.send(&path, "", b"").await.expect("sending succeeds");
    soon(gate.reached()).await;
    server.stop.send(()).expect("the server runs");
    soon(server.ended).await.expect("the server does not panic");
    soon(stuck.receive()).await.expect_err("the connection is aborted");
}

#[tokio::test]
async fn long_body_is_rejected_even_if_the_client_sends_all_of_it_first() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let mut client = server.connect().await;
    client.send(&path, "", &vec![b'x'; 6 << 20]).await.expect("sending succeeds");
    let (status, body) = soon(client.receive()).await.expect("a response");
    assert_eq!((status, &body["error"]), (413, &json!("INVALID_REQUEST")));
}

#[tokio::test]
async fn endless_head_is_bounded_in_size_and_time() {
    let mut options = Options::default();
    options.request_timeout = Duration::from_millis(200);
    let server = TestServer::over(memory(&world()).await, options, None).await;

    let mut client = server.connect().await;
    let long = format!("x: {}\r\n", "x".repeat(20_000));
    client.send("/rest/scope", &long, b"").await.expect("sending succeeds");
    let (status, body) = soon(client.receive()).await.expect("a response");
    assert_eq!((status, &body["error"]), (400, &json!("INVALID_REQUEST")));

    let mut endless = server.connect().await;
    let sending = async {
        endless.0.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
        loop {
            endless.0.write_all(&[b'x'; 1000]).await?;
            endless.0.flush().await?;
        }
    };
    let sent: io::Result<()> = soon(sending).await;
    sent.expect_err("the server stops reading");
}

#[tokio::test]
async fn tls_uses_the_certificate_from_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificates = write_pair(directory.path(), "server");
    let file = |name: &str| directory.path().join(name);
    let tls = Tls::from_files(file("server.crt"), file("server.key"))
        .expect("a valid certificate and key");
    let server = TestServer::over(memory(&world()).await, Options::default(), Some(tls)).await;

    let mut client = Client::connect_tls(server.address, certificates).await.expect("a handshake");
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    assert_eq!(soon(client.request(&path)).await.expect("a response").0, 200);
}

#[test]
fn invalid_certificate_and_key_files_are_named_in_errors() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["one", "other"] {
        write_pair(directory.path(), name);
    }
    let file = |name: &str| directory.path().join(name);
    for (certificate, key, expected) in [
        ("none.crt", "one.key", "none.crt"),
        ("one.crt", "none.key", "none.key"),
        ("one.key", "one.key", "cannot read certificates from"),
        ("one.crt", "one.crt", "cannot read a private key from"),
        ("one.crt", "other.key", "the certificate does not match the private key"),
    ] {
        let error = Tls::from_files(file(certificate), file(key))
            .expect_err("an unusable certificate or key");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn router_can_be_nested_in_another_service() {
    let inner = TestRouter::over(memory(&world()).await, Options::default()).await;
    let router = Router::new()
        .route("/own", get(async || "own"))
        .nest("/crm", inner.router)
        .fallback(async || "another service");
    let outer = TestRouter { router, secrets: inner.secrets };
    for path in ["/crm/rest/1/{secret}/scope", "/crm//rest//1/{secret}/scope.json/"] {
        let request =
            axum::http::Request::get(outer.secrets.fill(path)).body(axum::body::Body::empty());
        let response = outer.send(request.expect("a request")).await;
        assert_eq!(
            (response.status, &response.body["result"]),
            (200, &json!(["imopenlines"])),
            "{path}"
        );
    }
    assert_eq!(outer.get("/crm/nope").await.body["error"], "ERROR_METHOD_NOT_FOUND");
}
