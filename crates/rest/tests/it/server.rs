//! The server on real sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_domain::{Snapshot, Store};
use crm_chat_memory::Memory;
use crm_chat_rest::{MemoryCredentials, Options, Server, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{DELETE, Secrets, Wire, memory, world};

/// A server that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    secrets: Secrets,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn over(store: impl Store + 'static, options: Options, tls: Option<Tls>) -> Self {
        let credentials = MemoryCredentials::new().expect("there is randomness");
        let secrets = Secrets::issue(&credentials).await;
        let server = Server::bind("127.0.0.1:0", store, credentials, options).await;
        let mut server = server.expect("a free port");
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        }
        let address = server.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            secrets,
            stop,
            ended,
        }
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client::connect(self.address)
            .await
            .expect("the server accepts")
    }
}

/// Fails a test that would hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_mins(1), future).await;
    ended.expect("it ends in bounded time")
}

/// One connection.
struct Client<S>(BufStream<S>);

impl Client<TcpStream> {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufStream::new(TcpStream::connect(address).await?)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, path: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(body).await?;
        self.0.flush().await
    }

    /// Reads an answer; an error if the connection ends before it.
    async fn receive(&mut self) -> io::Result<(u16, Json)> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().expect("a length"),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Json::Null)))
    }

    async fn ask(&mut self, path: &str) -> io::Result<(u16, Json)> {
        self.send(path, "", b"").await?;
        self.receive().await
    }
}

/// A chat with many members, so that many can be removed.
fn crowd() -> Snapshot {
    let mut world = world();
    for id in 1000..6000 {
        let member = id.try_into().expect("an id");
        world.users.push(crm_chat_domain::User {
            id: member,
            active: true,
            kind: crm_chat_domain::UserKind::Human,
        });
        world.chats[1].members.push(member);
    }
    world
}

/// Removes one user after another until the server stops; returns those whose removal was answered.
async fn remove_until_stopped(address: SocketAddr, path: String, next: Arc<AtomicI64>) -> Vec<i64> {
    let mut removed = Vec::new();
    while let Ok(mut client) = Client::connect(address).await {
        loop {
            let user = next.fetch_add(1, Ordering::SeqCst);
            match client.ask(&format!("{path}{user}")).await {
                Ok((200, _)) => removed.push(user),
                Ok((status, body)) => {
                    assert_eq!(
                        (status, &body["error"]),
                        (503, &json!("OVERLOAD_LIMIT")),
                        "{body}"
                    );
                    break;
                }
                Err(_) => break,
            }
        }
    }
    removed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_answer_and_no_request_hangs() {
    let store = memory(&crowd()).await;
    let server = Running::over(store.clone(), Options::default(), None).await;
    let next = Arc::new(AtomicI64::new(1000));
    let path = format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=");
    let path = server.secrets.fill(&path);
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(remove_until_stopped(
            server.address,
            path.clone(),
            Arc::clone(&next),
        ));
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
    assert!(answered.len() > 100, "the stop came under load");
    assert_eq!(answered, logged, "what was answered is what was done");
}

#[tokio::test]
async fn a_stop_answers_what_was_accepted_and_turns_the_rest_away() {
    let store = Faulty::new(memory(&world()).await);
    let server = Running::over(store.clone(), Options::default(), None).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut slow = server.connect().await;
    let mut kept = server.connect().await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    assert_eq!(kept.ask("/healthz").await.expect("an answer").0, 200);
    slow.send(&path, "", b"").await.expect("it is sent");
    soon(gate.reached()).await;

    server.stop.send(()).expect("the server runs");
    // The stop is seen by whoever asks next, sooner or later.
    while soon(kept.ask("/readyz")).await.expect("an answer").0 != 503 {
        tokio::task::yield_now().await;
    }
    let (status, body) = soon(kept.ask(&path))
        .await
        .expect("an answer on a connection kept");
    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));
    assert_eq!(
        body["error_description"],
        "the server is stopping: repeat later"
    );
    let mut late = Client::connect(server.address)
        .await
        .expect("the server still accepts");
    let (status, body) = soon(late.ask(&path))
        .await
        .expect("an answer on a new connection");
    assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));

    gate.open();
    let (status, body) = soon(slow.receive())
        .await
        .expect("the answer to what was accepted");
    assert_eq!((status, &body["result"]), (200, &json!(["imopenlines"])));
    soon(server.ended).await.expect("the server does not panic");
    assert!(
        Client::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_stop_cuts_off_what_does_not_end() {
    let store = Faulty::new(memory(&world()).await);
    let mut options = Options::default();
    options.grace = Duration::from_millis(50);
    let server = Running::over(store.clone(), options, None).await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut stuck = server.connect().await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    stuck.send(&path, "", b"").await.expect("it is sent");
    soon(gate.reached()).await;
    server.stop.send(()).expect("the server runs");
    soon(server.ended).await.expect("the server does not panic");
    soon(stuck.receive())
        .await
        .expect_err("the connection is cut");
}

#[tokio::test]
async fn a_long_body_is_answered_though_the_client_sends_all_of_it_first() {
    let server = Running::over(memory(&world()).await, Options::default(), None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let mut client = server.connect().await;
    client
        .send(&path, "", &vec![b'x'; 6 << 20])
        .await
        .expect("it is sent");
    let (status, body) = soon(client.receive()).await.expect("an answer");
    assert_eq!((status, &body["error"]), (413, &json!("INVALID_REQUEST")));
}

#[tokio::test]
async fn a_head_that_never_ends_is_bounded_in_size_and_time() {
    let mut options = Options::default();
    options.max_time = Duration::from_millis(200);
    let server = Running::over(memory(&world()).await, options, None).await;

    let mut client = server.connect().await;
    let long = format!("x: {}\r\n", "x".repeat(20_000));
    client
        .send("/rest/scope", &long, b"")
        .await
        .expect("it is sent");
    let (status, body) = soon(client.receive()).await.expect("an answer");
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

    let mut silent = server.connect().await;
    silent
        .0
        .write_all(b"GET / HTTP/1.1\r\n")
        .await
        .expect("it is sent");
    silent.0.flush().await.expect("it is sent");
    soon(silent.receive())
        .await
        .expect_err("the server gives up");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let mut options = Options::default();
    options.max_connections = 1;
    let server = Running::over(memory(&world()).await, options, None).await;
    let mut first = server.connect().await;
    assert_eq!(first.ask("/healthz").await.expect("an answer").0, 200);
    let mut second = server.connect().await;
    second.send("/healthz", "", b"").await.expect("it is sent");
    assert_eq!(first.ask("/healthz").await.expect("an answer").0, 200);
    drop(first);
    assert_eq!(soon(second.receive()).await.expect("an answer").0, 200);
}

fn write_pair(folder: &Path, name: &str) -> Vec<CertificateDer<'static>> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    std::fs::write(path("crt"), cert.pem()).expect("it is written");
    std::fs::write(path("key"), signing_key.serialize_pem()).expect("it is written");
    CertificateDer::pem_file_iter(path("crt"))
        .expect("it is read")
        .map(|cert| cert.expect("it is PEM"))
        .collect()
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = write_pair(folder.path(), "server");
    let file = |name: &str| folder.path().join(name);
    let tls = Tls::from_files(file("server.crt"), file("server.key")).expect("a pair");
    let server = Running::over(memory(&world()).await, Options::default(), Some(tls)).await;

    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address)
        .await
        .expect("the server accepts");
    let name = "localhost".try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a handshake");
    let mut client = Client(BufStream::new(stream));
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    assert_eq!(soon(client.ask(&path)).await.expect("an answer").0, 200);

    // Who speaks no TLS harms nobody else.
    soon(server.connect().await.ask(&path))
        .await
        .expect_err("no answer");
    assert_eq!(soon(client.ask(&path)).await.expect("an answer").0, 200);
}

#[test]
fn files_without_a_certificate_or_key_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["one", "other"] {
        write_pair(folder.path(), name);
    }
    let file = |name: &str| folder.path().join(name);
    for (certificate, key, expected) in [
        ("none.crt", "one.key", "none.crt"),
        ("one.crt", "none.key", "none.key"),
        ("one.key", "one.key", "cannot read certificates from"),
        ("one.crt", "one.crt", "cannot read a private key from"),
        (
            "one.crt",
            "other.key",
            "cannot use the certificate with the key",
        ),
    ] {
        let error = Tls::from_files(file(certificate), file(key)).expect_err("no pair");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_router_serves_under_a_path_of_another_service() {
    let inner = Wire::over(memory(&world()).await, Options::default()).await;
    let router = Router::new()
        .route("/own", get(async || "own"))
        .nest("/crm", inner.router)
        .fallback(async || "another service");
    let outer = Wire {
        router,
        secrets: inner.secrets,
    };
    for path in [
        "/crm/rest/1/{secret}/scope",
        "/crm//rest//1/{secret}/scope.json/",
    ] {
        let request =
            axum::http::Request::get(outer.secrets.fill(path)).body(axum::body::Body::empty());
        let answer = outer.ask(request.expect("a request")).await;
        assert_eq!(
            (answer.status, &answer.body["result"]),
            (200, &json!(["imopenlines"])),
            "{path}"
        );
    }
    assert_eq!(
        outer.get("/crm/nope").await.body["error"],
        "ERROR_METHOD_NOT_FOUND"
    );
}

#[tokio::test]
async fn readiness_asks_the_store_and_liveness_does_not() {
    let store: Faulty<Memory> = Faulty::new(memory(&world()).await);
    let server = Running::over(store.clone(), Options::default(), None).await;
    let mut client = server.connect().await;
    for (path, calls) in [("/healthz", 0), ("/readyz", 3)] {
        assert_eq!(client.ask(path).await.expect("an answer").0, 200);
        assert_eq!(store.calls().len(), calls, "{path}");
    }
    store.inject(
        1,
        Fault::Before(crm_chat_domain::StoreErrorKind::Unavailable),
    );
    assert_eq!(client.ask("/readyz").await.expect("an answer").0, 503);
    assert_eq!(client.ask("/healthz").await.expect("an answer").0, 200);
    store.inject(1, Fault::StallBefore(Gate::default()));
    assert_eq!(soon(client.ask("/readyz")).await.expect("an answer").0, 503);
}
