//! Bodies that come slowly, never, or in masses.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use crm_chat_credentials::MemoryCredentials;
use crm_chat_memory::Memory;
use crm_chat_rest::{Options, Server};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Answer, Secrets, Wire, memory, world};

/// A body to which a test adds bytes until it drops this.
type Feed = UnboundedSender<Bytes>;

fn fed() -> (Feed, Body) {
    let (feed, mut bytes) = unbounded_channel::<Bytes>();
    let frames = futures_lite::stream::poll_fn(move |cx| {
        let bytes = bytes.poll_recv(cx);
        bytes.map(|bytes| bytes.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))))
    });
    (feed, Body::new(StreamBody::new(frames)))
}

fn post(wire: &Wire, path: &str, body: Body) -> Request<Body> {
    Request::post(wire.secrets.fill(path))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
        .expect("a request")
}

/// Begins a request whose body is fed.
fn begin(wire: &Wire, path: &str) -> (Feed, JoinHandle<Answer>) {
    let (feed, body) = fed();
    let request = post(wire, path, body);
    let wire = Wire { router: wire.router.clone(), secrets: wire.secrets.clone() };
    let answer = tokio::spawn(async move { wire.ask(request).await });
    (feed, answer)
}

async fn wire(options: Options) -> Wire {
    Wire::over(memory(&world()).await, options).await
}

const KNOWN: &str = "/rest/1/{secret}/scope";
const UNKNOWN: &str = "/rest/scope";

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![b'x'; length])
}

/// Waits until the bodies hold as many bytes as they should.
async fn held(wire: &Wire, expected: u64) {
    let arrived = async {
        while wire.figure("crm_chat_body_bytes_held").await != expected {
            tokio::task::yield_now().await;
        }
    };
    let arrived = timeout(Duration::from_mins(1), arrived).await;
    arrived.unwrap_or_else(|_| panic!("{expected} bytes are held"));
}

#[track_caller]
fn assert_shed(answer: &Answer, description: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.body["error"], "OVERLOAD_LIMIT");
    let actual = answer.body["error_description"].as_str();
    let actual = actual.expect("a description");
    assert!(actual.starts_with(description), "{actual}");
}

#[tokio::test]
async fn oldest_body_of_an_unknown_caller_is_shed_where_there_is_no_room() {
    let mut options = Options::default();
    options.max_buffered_body_bytes = 8000;
    let wire = wire(options).await;
    let (slow, slow_answer) = begin(&wire, UNKNOWN);
    slow.send(bytes(900)).expect("it is read");
    held(&wire, 900).await;

    let (newer, newer_answer) = begin(&wire, UNKNOWN);
    let auth = wire.secrets.fill("auth={token}&x=");
    newer.send(auth.into()).expect("it is read");
    newer.send(bytes(200)).expect("it is read");
    let slow_answer = slow_answer.await.expect("an answer");
    assert_shed(&slow_answer, "too many request bodies are arriving from unauthenticated clients");
    drop(newer);
    assert_eq!(newer_answer.await.expect("an answer").status, 200);
    held(&wire, 0).await;
    let shed = r#"crm_chat_calls_shed_total{reason="unauthenticated_body_memory"}"#;
    assert_eq!(wire.figure(shed).await, 1);
    drop(slow);
}

#[tokio::test]
async fn unknown_callers_do_not_crowd_out_known_ones_nor_the_other_way_round() {
    let mut options = Options::default();
    options.max_buffered_body_bytes = 8000;
    let wire = wire(options).await;
    let (unknown, unknown_answer) = begin(&wire, UNKNOWN);
    let auth = Bytes::from(wire.secrets.fill("auth={token}&x="));
    let length = auth.len();
    unknown.send(auth).expect("it is read");
    unknown.send(bytes(1000 - length)).expect("it is read");
    let (known, known_answer) = begin(&wire, KNOWN);
    known.send(bytes(7000)).expect("it is read");
    held(&wire, 8000).await;

    drop((unknown, known));
    assert_eq!(unknown_answer.await.expect("an answer").status, 200);
    assert_eq!(known_answer.await.expect("an answer").status, 200);

    let (known, known_answer) = begin(&wire, KNOWN);
    known.send(bytes(7001)).expect("it is read");
    let answer = known_answer.await.expect("an answer");
    assert_shed(&answer, "too many request bodies are arriving: retry later");
}

#[tokio::test]
async fn body_beyond_its_limit_holds_no_bytes_while_the_rest_of_it_arrives() {
    let mut options = Options::default();
    options.max_body = 1000;
    let wire = wire(options).await;
    let (feed, answer) = begin(&wire, KNOWN);
    feed.send(bytes(1000)).expect("it is read");
    held(&wire, 1000).await;
    feed.send(bytes(1000)).expect("it is read");
    held(&wire, 0).await;
    drop(feed);
    assert_eq!(answer.await.expect("an answer").status, 413);
}

#[tokio::test]
async fn unknown_caller_may_send_64_kib_and_a_known_one_1_mib() {
    let wire = wire(Options::default()).await;
    let auth = wire.secrets.fill("auth={token}&x=");
    for (length, status) in [(64 << 10, 200), ((64 << 10) + 1, 413)] {
        let body = auth.clone() + &"x".repeat(length - auth.len());
        let answer = wire.ask(post(&wire, UNKNOWN, body.clone().into())).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 413 {
            let actual = answer.body["error_description"].as_str();
            assert!(actual.is_some_and(|text| text.contains("`Authorization`")));
        }
        let mut request = post(&wire, UNKNOWN, body.into());
        let bearer = wire.secrets.fill("Bearer {token}").parse();
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, bearer.expect("a value"));
        assert_eq!(wire.ask(request).await.status, 200);
    }
    for (length, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        let answer = wire.ask(post(&wire, KNOWN, bytes(length).into())).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_has_2_seconds_and_one_more_for_each_kib_but_10_at_most() {
    let mut no_rate = Options::default();
    no_rate.min_body_rate = 0;
    for (options, chunk, every, arrives, expected) in [
        (Options::default(), 0, 1000, 100, Err(2000)),
        (Options::default(), 1, 900, 100, Err(2001)),
        (Options::default(), 1024, 1100, 7, Ok(7700)),
        (Options::default(), 2048, 1000, 100, Err(10_000)),
        (no_rate.clone(), 1, 900, 10, Ok(9000)),
        (no_rate, 1, 900, 100, Err(10_000)),
    ] {
        let wire = wire(options).await;
        let began = Instant::now();
        let (feed, answer) = begin(&wire, KNOWN);
        let feeding = tokio::spawn(async move {
            for _ in 0..arrives {
                // It fails once the server has given up.
                let _ = feed.send(bytes(chunk));
                sleep(Duration::from_millis(every)).await;
            }
        });
        let answer = answer.await.expect("an answer");
        let actual = u64::try_from(began.elapsed().as_millis()).expect("a short time");
        let (status, after) = match expected {
            Ok(after) => (200, after),
            Err(after) => (400, after),
        };
        let context = format!("{chunk} bytes every {every} ms: {actual} ms, {answer:?}");
        assert_eq!(answer.status, status, "{context}");
        assert!((after..after + 10).contains(&actual), "{context}");
        if status == 400 {
            let description = "the body did not arrive in time";
            assert_eq!(answer.body["error_description"], description, "{context}");
            let shed = r#"crm_chat_calls_shed_total{reason="slow_body"}"#;
            assert_eq!(wire.figure(shed).await, 1);
        }
        feeding.abort();
    }
}

/// Sends what may be part of a request, and returns the connection.
async fn send(server: &Running, head: &str, body: &[u8]) -> TcpStream {
    let stream = TcpStream::connect(&server.address).await;
    let mut stream = stream.expect("the server accepts");
    let head = server.secrets.fill(head);
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("the head is sent");
    stream.write_all(body).await.expect("the body is sent");
    stream
}

/// Reads an answer up to its head's end or more; fails a test that would hang.
async fn receive(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut some = [0; 1024];
            let length = stream.read(&mut some).await.expect("it can be read");
            assert!(length > 0, "an answer is expected");
            text.extend_from_slice(&some[..length]);
        }
    };
    let read = timeout(Duration::from_mins(1), reading).await;
    read.expect("an answer in bounded time");
    String::from_utf8_lossy(&text).to_lowercase()
}

struct Running {
    address: String,
    secrets: Secrets,
    wire: Wire,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Running {
    async fn with(options: Options) -> Self {
        let store: Memory = memory(&world()).await;
        let credentials = MemoryCredentials::new().expect("there is randomness");
        let secrets = Secrets::issue(&credentials).await;
        let server = Server::bind("127.0.0.1:0", store.clone(), credentials, options).await;
        let server = server.expect("a free port");
        let address = server.local_addr().expect("an address").to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, secrets, wire: Wire::over(store, Options::default()).await, _stop: stop }
    }

    /// Returns the value of a figure, asked for on a connection of its own.
    async fn figure(&self, name: &str) -> String {
        let mut stream = send(self, "GET /metrics HTTP/1.0\r\n\r\n", b"").await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("figures");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn slow_bodies_beyond_max_calls_do_not_keep_a_good_caller_out() {
    const MAX_CALLS: usize = 8;
    let mut options = Options::default();
    options.max_concurrent_requests = MAX_CALLS;
    // Long enough for the whole test: the slow ones must be there all the while.
    options.body_timeout = Duration::from_mins(5);
    options.request_timeout = Duration::from_mins(5);
    options.min_body_rate = 0;
    let server = Running::with(options).await;

    let mut slow = Vec::new();
    for path in [KNOWN, UNKNOWN] {
        for _ in 0..=MAX_CALLS {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\r\n"
            );
            slow.push(send(&server, &head, b"a").await);
        }
    }
    let all = slow.len().to_string();
    let arriving = async {
        while server.figure("crm_chat_bodies_arriving").await != all {
            tokio::task::yield_now().await;
        }
    };
    let arriving = timeout(Duration::from_mins(1), arriving).await;
    arriving.expect("all the slow bodies are being read");
    assert_eq!(server.figure("crm_chat_calls_in_flight").await, "0");

    for _ in 0..3 {
        let head = format!("GET {KNOWN} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = receive(&mut send(&server, &head, b"").await).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        let body = server.secrets.fill("auth={token}");
        let head = format!(
            "POST {UNKNOWN} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n",
            body.len()
        );
        let answer = receive(&mut send(&server, &head, body.as_bytes()).await).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
    }
    // The slow ones are answered once they have arrived.
    for stream in slow.iter_mut().take(MAX_CALLS + 1) {
        stream.write_all(b"=bcdefgh!").await.expect("it is sent");
        let answer = receive(stream).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn wrong_credentials_in_the_head_are_answered_before_the_body_arrives() {
    let server = Running::with(Options::default()).await;
    for head in [
        "POST /rest/1/wrong/scope HTTP/1.1\r\n",
        "POST /rest/scope?auth=wrong HTTP/1.1\r\n",
        "POST /rest/scope HTTP/1.1\r\nauthorization: Bearer wrong\r\n",
        "POST /rest/scope?auth={expired} HTTP/1.1\r\n",
    ] {
        let head = format!("{head}host: x\r\ncontent-length: 10\r\n\r\n");
        let answer = receive(&mut send(&server, &head, b"").await).await;
        assert!(answer.starts_with("http/1.1 401"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");

        let expect = head.replace("host: x", "host: x\r\nexpect: 100-continue");
        let answer = receive(&mut send(&server, &expect, b"").await).await;
        assert!(answer.starts_with("http/1.1 401"), "{answer}");
    }
}

#[tokio::test]
async fn answer_arrives_though_the_client_sends_an_unwanted_body_first() {
    const LENGTH: usize = 3 << 20;
    let server = Running::with(Options::default()).await;
    for (path, status) in
        [("/rest/1/wrong/scope", 401), ("/rest/1/{secret}/nope", 404), ("/nope", 404)]
    {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
        let answer = receive(&mut send(&server, &head, &vec![b'x'; LENGTH]).await).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn request_of_http_1_1_must_name_one_host() {
    let server = Running::with(Options::default()).await;
    for (path, good) in [(KNOWN, 200), ("/healthz", 200)] {
        for (version, hosts, status) in [
            ("1.1", "host: x\r\n", good),
            ("1.1", "", 400),
            ("1.1", "host: x\r\nhost: x\r\n", 400),
            ("1.0", "", good),
        ] {
            let head = format!("GET {path} HTTP/{version}\r\n{hosts}\r\n");
            let answer = receive(&mut send(&server, &head, b"").await).await;
            let expected = format!("http/{version} {status}");
            assert!(answer.starts_with(&expected), "{head}: {answer}");
        }
    }
    // A router is not asked for it: what it is handed may have come in any way.
    assert_eq!(server.wire.get(KNOWN).await.status, 200);
}
