//! Request bodies that arrive slowly, never, or in large numbers.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use crm_chat_rest::Options;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::sockets::TestServer;
use crate::support::{ApiResponse, TestRouter, memory, world};

/// Feeds a body with bytes. Dropping it ends the body.
type Feed = UnboundedSender<Bytes>;

fn fed() -> (Feed, Body) {
    let (feed, mut bytes) = unbounded_channel::<Bytes>();
    let frames = futures_lite::stream::poll_fn(move |cx| {
        let bytes = bytes.poll_recv(cx);
        bytes.map(|bytes| bytes.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))))
    });
    (feed, Body::new(StreamBody::new(frames)))
}

fn post(router: &TestRouter, path: &str, body: Body) -> Request<Body> {
    Request::post(router.secrets.fill(path))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
        .expect("a request")
}

/// Starts a request whose body is fed by the test.
fn begin(router: &TestRouter, path: &str) -> (Feed, JoinHandle<ApiResponse>) {
    let (feed, body) = fed();
    let request = post(router, path, body);
    let router = TestRouter { router: router.router.clone(), secrets: router.secrets.clone() };
    let response = tokio::spawn(async move { router.send(request).await });
    (feed, response)
}

async fn router(options: Options) -> TestRouter {
    TestRouter::over(memory(&world()).await, options).await
}

const AUTHENTICATED: &str = "/rest/1/{secret}/scope";
const UNAUTHENTICATED: &str = "/rest/scope";

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![b'x'; length])
}

/// Waits until the bodies hold a number of bytes.
async fn wait_for_held_bytes(router: &TestRouter, expected: u64) {
    let arrived = async {
        while router.metric("crm_chat_body_bytes_held").await != expected {
            tokio::task::yield_now().await;
        }
    };
    let arrived = timeout(Duration::from_mins(1), arrived).await;
    arrived.unwrap_or_else(|_| panic!("the bodies do not hold {expected} bytes"));
}

#[track_caller]
fn assert_shed(response: &ApiResponse, description: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.body["error"], "OVERLOAD_LIMIT");
    let actual = response.body["error_description"].as_str();
    let actual = actual.expect("a description");
    assert!(actual.starts_with(description), "{actual}");
}

#[tokio::test]
async fn oldest_unauthenticated_body_is_shed_if_there_is_no_room() {
    let mut options = Options::default();
    options.max_buffered_body_bytes = 8000;
    let router = router(options).await;
    let (slow, slow_answer) = begin(&router, UNAUTHENTICATED);
    slow.send(bytes(900)).expect("the server reads it");
    wait_for_held_bytes(&router, 900).await;

    let (newer, newer_answer) = begin(&router, UNAUTHENTICATED);
    let auth = router.secrets.fill("auth={token}&x=");
    newer.send(auth.into()).expect("the server reads it");
    newer.send(bytes(200)).expect("the server reads it");
    let slow_answer = slow_answer.await.expect("a response");
    assert_shed(&slow_answer, "too many request bodies are arriving from unauthenticated clients");
    drop(newer);
    assert_eq!(newer_answer.await.expect("a response").status, 200);
    wait_for_held_bytes(&router, 0).await;
    let shed = r#"crm_chat_calls_shed_total{reason="unauthenticated_body_memory"}"#;
    assert_eq!(router.metric(shed).await, 1);
    drop(slow);
}

#[tokio::test]
async fn authenticated_and_unauthenticated_bodies_do_not_crowd_out_each_other() {
    let mut options = Options::default();
    options.max_buffered_body_bytes = 8000;
    let router = router(options).await;
    let (unauthenticated, unauthenticated_answer) = begin(&router, UNAUTHENTICATED);
    let auth = Bytes::from(router.secrets.fill("auth={token}&x="));
    let length = auth.len();
    unauthenticated.send(auth).expect("the server reads it");
    unauthenticated.send(bytes(1000 - length)).expect("the server reads it");
    let (authenticated, authenticated_answer) = begin(&router, AUTHENTICATED);
    authenticated.send(bytes(7000)).expect("the server reads it");
    wait_for_held_bytes(&router, 8000).await;

    drop((unauthenticated, authenticated));
    assert_eq!(unauthenticated_answer.await.expect("a response").status, 200);
    assert_eq!(authenticated_answer.await.expect("a response").status, 200);

    let (authenticated, authenticated_answer) = begin(&router, AUTHENTICATED);
    authenticated.send(bytes(7001)).expect("the server reads it");
    let response = authenticated_answer.await.expect("a response");
    assert_shed(&response, "too many request bodies are arriving: retry later");
}

#[tokio::test]
async fn body_beyond_the_limit_holds_no_bytes_while_its_rest_arrives() {
    let mut options = Options::default();
    options.max_body = 1000;
    let router = router(options).await;
    let (feed, response) = begin(&router, AUTHENTICATED);
    feed.send(bytes(1000)).expect("the server reads it");
    wait_for_held_bytes(&router, 1000).await;
    feed.send(bytes(1000)).expect("the server reads it");
    wait_for_held_bytes(&router, 0).await;
    drop(feed);
    assert_eq!(response.await.expect("a response").status, 413);
}

#[tokio::test]
async fn unauthenticated_callers_may_send_64_kib_and_authenticated_ones_1_mib() {
    let router = router(Options::default()).await;
    let auth = router.secrets.fill("auth={token}&x=");
    for (length, status) in [(64 << 10, 200), ((64 << 10) + 1, 413)] {
        let body = auth.clone() + &"x".repeat(length - auth.len());
        let response = router.send(post(&router, UNAUTHENTICATED, body.clone().into())).await;
        assert_eq!(response.status, status, "{response:?}");
        if status == 413 {
            let actual = response.body["error_description"].as_str();
            assert!(actual.is_some_and(|text| text.contains("`Authorization`")));
        }
        let mut request = post(&router, UNAUTHENTICATED, body.into());
        let bearer = router.secrets.fill("Bearer {token}").parse();
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, bearer.expect("a value"));
        assert_eq!(router.send(request).await.status, 200);
    }
    for (length, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        let response = router.send(post(&router, AUTHENTICATED, bytes(length).into())).await;
        assert_eq!(response.status, status, "{response:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_has_2_seconds_plus_one_per_kib_and_at_most_10() {
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
        let router = router(options).await;
        let began = Instant::now();
        let (feed, response) = begin(&router, AUTHENTICATED);
        let feeding = tokio::spawn(async move {
            for _ in 0..arrives {
                // This fails once the server has stopped reading.
                let _ = feed.send(bytes(chunk));
                sleep(Duration::from_millis(every)).await;
            }
        });
        let response = response.await.expect("a response");
        let actual = u64::try_from(began.elapsed().as_millis()).expect("a short time");
        let (status, after) = match expected {
            Ok(after) => (200, after),
            Err(after) => (400, after),
        };
        let context = format!("{chunk} bytes every {every} ms: {actual} ms, {response:?}");
        assert_eq!(response.status, status, "{context}");
        assert!((after..after + 10).contains(&actual), "{context}");
        if status == 400 {
            let description = "the body did not arrive in time";
            assert_eq!(response.body["error_description"], description, "{context}");
            let shed = r#"crm_chat_calls_shed_total{reason="slow_body"}"#;
            assert_eq!(router.metric(shed).await, 1);
        }
        feeding.abort();
    }
}

/// Sends a head and the start of a body, and returns the connection.
async fn send(server: &TestServer, head: &str, body: &[u8]) -> TcpStream {
    let stream = TcpStream::connect(server.address).await;
    let mut stream = stream.expect("the server accepts connections");
    let head = server.secrets.fill(head);
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("sending succeeds");
    stream.write_all(body).await.expect("sending succeeds");
    stream
}

/// Reads at least the head of a response, within a bounded time.
async fn receive(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut some = [0; 1024];
            let length = stream.read(&mut some).await.expect("reading succeeds");
            assert!(length > 0, "a response is expected");
            text.extend_from_slice(&some[..length]);
        }
    };
    let read = timeout(Duration::from_mins(1), reading).await;
    read.expect("a response in bounded time");
    String::from_utf8_lossy(&text).to_lowercase()
}

#[tokio::test]
async fn slow_bodies_do_not_use_up_the_concurrency_limit() {
    const MAX_CONCURRENT: usize = 8;
    let mut options = Options::default();
    options.max_concurrent_requests = MAX_CONCURRENT;
    // Long enough for the slow bodies to last for the whole test.
    options.body_timeout = Duration::from_mins(5);
    options.request_timeout = Duration::from_mins(5);
    options.min_body_rate = 0;
    let server = TestServer::over(memory(&world()).await, options, None).await;

    let mut slow = Vec::new();
    for path in [AUTHENTICATED, UNAUTHENTICATED] {
        for _ in 0..=MAX_CONCURRENT {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\r\n"
            );
            slow.push(send(&server, &head, b"a").await);
        }
    }
    let all = slow.len().try_into().expect("a small number");
    server.wait_for_metric("crm_chat_bodies_arriving", all).await;
    assert_eq!(server.metric("crm_chat_calls_in_flight").await, 0);

    for _ in 0..3 {
        let head = format!("GET {AUTHENTICATED} HTTP/1.1\r\nhost: x\r\n\r\n");
        let response = receive(&mut send(&server, &head, b"").await).await;
        assert!(response.starts_with("http/1.1 200"), "{response}");
        let body = server.secrets.fill("auth={token}");
        let head = format!(
            "POST {UNAUTHENTICATED} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n",
            body.len()
        );
        let response = receive(&mut send(&server, &head, body.as_bytes()).await).await;
        assert!(response.starts_with("http/1.1 200"), "{response}");
    }
    // Slow bodies are answered once they have arrived.
    for stream in slow.iter_mut().take(MAX_CONCURRENT + 1) {
        stream.write_all(b"=bcdefgh!").await.expect("sending succeeds");
        let response = receive(stream).await;
        assert!(response.starts_with("http/1.1 200"), "{response}");
    }
}

#[tokio::test]
async fn invalid_credentials_in_the_head_are_rejected_before_the_body_arrives() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    for head in [
        "POST /rest/1/wrong/scope HTTP/1.1\r\n",
        "POST /rest/scope?auth=wrong HTTP/1.1\r\n",
        "POST /rest/scope HTTP/1.1\r\nauthorization: Bearer wrong\r\n",
        "POST /rest/scope?auth={expired} HTTP/1.1\r\n",
    ] {
        let head = format!("{head}host: x\r\ncontent-length: 10\r\n\r\n");
        let response = receive(&mut send(&server, &head, b"").await).await;
        assert!(response.starts_with("http/1.1 401"), "{response}");
        assert!(response.contains("connection: close"), "{response}");

        let expect = head.replace("host: x", "host: x\r\nexpect: 100-continue");
        let response = receive(&mut send(&server, &expect, b"").await).await;
        assert!(response.starts_with("http/1.1 401"), "{response}");
    }
}

#[tokio::test]
async fn response_arrives_even_if_the_client_sends_an_unwanted_body_first() {
    const LENGTH: usize = 3 << 20;
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    for (path, status) in
        [("/rest/1/wrong/scope", 401), ("/rest/1/{secret}/nope", 404), ("/nope", 404)]
    {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
        let response = receive(&mut send(&server, &head, &vec![b'x'; LENGTH]).await).await;
        assert!(response.starts_with(&format!("http/1.1 {status}")), "{response}");
    }
}

#[tokio::test]
async fn http_1_1_requests_must_have_exactly_one_host() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    for (path, good) in [(AUTHENTICATED, 200), ("/healthz", 200)] {
        for (version, hosts, status) in [
            ("1.1", "host: x\r\n", good),
            ("1.1", "", 400),
            ("1.1", "host: x\r\nhost: x\r\n", 400),
            ("1.0", "", good),
        ] {
            let head = format!("GET {path} HTTP/{version}\r\n{hosts}\r\n");
            let response = receive(&mut send(&server, &head, b"").await).await;
            let expected = format!("http/{version} {status}");
            assert!(response.starts_with(&expected), "{head}: {response}");
        }
    }
    let router = router(Options::default()).await;
    // A router does not require it, because it cannot know how its requests arrived.
    assert_eq!(router.get(AUTHENTICATED).await.status, 200);
}
