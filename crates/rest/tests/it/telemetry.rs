//! Log lines, metrics, and the effect of a failing log on calls.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use crm_chat_rest::{ExternalMetric, Options};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::log::Log;
use crate::support::{DELETE, TestRouter, memory, world};

async fn router(options: Options) -> TestRouter {
    TestRouter::over(memory(&world()).await, options).await
}

fn removal(user: u8) -> String {
    format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID={user}")
}

/// Returns the log lines of calls.
fn lines(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("request completed"));
    lines.map(str::to_owned).collect()
}

#[track_caller]
fn assert_parts(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn log_line_of_a_removal_names_credential_entity_chat_and_user() {
    let (log, _guard) = Log::capture();
    let router = router(Options::default()).await;
    for path in [
        removal(12),
        removal(12),
        removal(12) + "&CHAT_ID=9",
        "/rest/scope?auth={token}".to_owned(),
        "/rest/1/wrong/scope".to_owned(),
    ] {
        router.get(&path).await;
    }
    let lines = lines(&log);
    let about = ["credential=webhook:1", "actor=1", "entity=deal:288", "user=12"];
    for (line, chat, code) in
        [(0, "8773", "OK"), (1, "", "WRONG_REQUEST"), (2, "9", "CHAT_NOT_IN_CRM")]
    {
        assert_parts(&lines[line], &about);
        assert_parts(&lines[line], &[&format!("code=\"{code}\"")]);
        let chat = if chat.is_empty() { String::new() } else { format!("chat={chat} ") };
        assert_parts(&lines[line], &[&chat]);
    }
    assert_parts(&lines[3], &["credential=token:", "actor=1"]);
    assert!(!lines[3].contains("entity="), "{}", lines[3]);
    assert!(!lines[4].contains("credential="), "{}", lines[4]);
}

#[tokio::test]
async fn log_line_of_a_batch_command_has_the_fields_of_its_request() {
    let (log, _guard) = Log::capture();
    let router = router(Options::default()).await;
    let commands = json!([format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=12")]);
    let mut request = Request::post(router.secrets.fill("/rest/1/{secret}/batch"))
        .header("content-type", "application/json")
        .body(Body::from(json!({"cmd": commands, "bx24_request_id": "abc"}).to_string()))
        .expect("a request");
    let peer: SocketAddr = "203.0.113.7:1234".parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    router.send(request).await;
    let lines = lines(&log);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let common = ["request_id=\"abc\"", "peer=203.0.113.7 ", "credential=webhook:1", "actor=1"];
    for line in &lines {
        assert_parts(line, &common);
    }
    let about = ["entity=deal:288", "chat=8773", "user=12", "code=\"OK\""];
    assert_parts(&lines[0], &about);
}

#[tokio::test]
async fn forwarded_peer_is_logged_only_if_the_proxy_is_trusted() {
    let mut trusting = Options::default();
    trusting.trust_forwarded = true;
    for (options, forwarded, expected) in [
        (Options::default(), vec!["192.0.2.1"], "203.0.113.7"),
        (trusting.clone(), vec!["192.0.2.1, 192.0.2.2"], "192.0.2.2"),
        (trusting.clone(), vec!["192.0.2.1", "2001:db8::1"], "2001:db8::1"),
        (trusting.clone(), vec!["192.0.2.1, nonsense"], "203.0.113.7"),
        (trusting, vec![], "203.0.113.7"),
    ] {
        let (log, _guard) = Log::capture();
        let router = router(options).await;
        let mut request = Request::get("/rest/scope");
        for value in &forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        let peer: SocketAddr = "203.0.113.7:1234".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        router.send(request).await;
        assert_parts(&lines(&log)[0], &[&format!("peer={expected} ")]);
    }
}

#[tokio::test]
async fn logged_milliseconds_are_rounded_to_microseconds() {
    let (log, _guard) = Log::capture();
    let router = router(Options::default()).await;
    for _ in 0..50 {
        router.get("/rest/1/{secret}/scope").await;
    }
    for line in lines(&log) {
        let (_, value) = line.split_once("milliseconds=").expect("a field");
        let value = value.split(' ').next().unwrap_or_default();
        let (_, decimals) = value.split_once('.').unwrap_or((value, ""));
        assert!(decimals.len() <= 3, "{value}");
    }
}

#[tokio::test]
async fn metrics_of_the_embedding_program_are_shown() {
    let mut options = Options::default();
    options.metrics = vec![
        ExternalMetric::counter("log_lines_lost", "Log lines not written", || 3),
        ExternalMetric::gauge("wal_bytes", "Bytes of the WAL", || u64::MAX),
    ];
    let router = router(options).await;
    let (_, metrics) = router.probe("/metrics").await;
    for line in [
        "# HELP crm_chat_log_lines_lost Log lines not written",
        "# TYPE crm_chat_log_lines_lost counter",
        "crm_chat_log_lines_lost_total 3",
        "# TYPE crm_chat_wal_bytes gauge",
        "crm_chat_wal_bytes 9223372036854775807",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn shed_calls_are_counted_by_reason() {
    let mut options = Options::default();
    options.max_concurrent_requests = 0;
    let router = router(options).await;
    assert_eq!(router.get("/rest/1/{secret}/scope").await.status, 503);
    assert_eq!(router.get("/rest/1/wrong/scope").await.status, 401);
    assert_eq!(router.metric(r#"crm_chat_calls_shed_total{reason="concurrency"}"#).await, 1);
}

/// A log that runs a callback for each line.
#[derive(Clone)]
struct Eventful(Arc<dyn Fn(&str) + Send + Sync>);

impl Write for Eventful {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Eventful {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn set_log(event: impl Fn(&str) + Send + Sync + 'static) -> tracing::subscriber::DefaultGuard {
    let subscriber = tracing_subscriber::fmt().with_writer(Eventful(Arc::new(event))).finish();
    tracing::subscriber::set_default(subscriber)
}

#[tokio::test]
async fn panicking_log_does_not_lose_a_response() {
    let router = router(Options::default()).await;
    let _set = set_log(|_| panic!("the log is full"));
    let response = router.get(&removal(12)).await;
    assert_eq!(response.status, 200, "{response:?}");
    let batch = format!("{DELETE}%3FCRM_ENTITY_TYPE=deal%26CRM_ENTITY=288%26USER_ID=7");
    let response = router.get(&format!("/rest/1/{{secret}}/batch?cmd[]={batch}&cmd[]=scope")).await;
    let result = &response.body["result"]["result"];
    assert_eq!(*result, json!([8773, ["imopenlines"]]), "{response:?}");
}

#[tokio::test]
async fn slow_log_does_not_block_other_calls() {
    let router = Arc::new(router(Options::default()).await);
    let inner = Arc::clone(&router);
    let outcome = Arc::new(Mutex::new(None));
    let recorded = Arc::clone(&outcome);
    let _set = set_log(move |line| {
        if !line.contains("request completed") {
            return;
        }
        // Use another thread, which does not write to this log. The first call of a method creates
        // its metrics, for which they must not be locked.
        let router = Arc::clone(&inner);
        let (answered, response) = sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let response = runtime.block_on(router.get("/rest/1/{secret}/profile"));
            answered.send(response.status)
        });
        let response = response.recv_timeout(Duration::from_secs(20));
        *recorded.lock().expect("the lock is not poisoned") = Some(response);
    });
    assert_eq!(router.get("/rest/1/{secret}/scope").await.status, 200);
    assert_eq!(*outcome.lock().expect("the lock is not poisoned"), Some(Ok(200)));
}
