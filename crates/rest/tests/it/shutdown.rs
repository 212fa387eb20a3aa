//! Graceful shutdown from the perspective of callers.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_rest::{Options, hangup_signal};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use crate::sockets::{Client, TestServer, soon};
use crate::support::{memory, world};

/// Sends requests on kept and on new connections until the server no longer listens. Returns the
/// number of requests that were sent but not answered.
async fn call_until_refused(address: SocketAddr, path: String, answered: Arc<AtomicU64>) -> u64 {
    let mut lost = 0;
    while let Ok(mut client) = Client::connect(address).await {
        let mut open = true;
        while open {
            client.send(&path, "", b"").await.expect("sending succeeds");
            let Ok(response) = client.receive_raw().await else {
                lost += 1;
                break;
            };
            let error = response.json()["error"].clone();
            match response.status {
                200 => assert_eq!(error, Json::Null),
                status => assert_eq!((status, error), (503, json!("OVERLOAD_LIMIT"))),
            }
            answered.fetch_add(1, Ordering::SeqCst);
            // The server accepts no further request after it has announced that it will close.
            open = !response.headers.contains_key("connection");
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_before_the_listener_closed_are_answered() {
    for round in 0..5 {
        let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
        let path = server.secrets.fill("/rest/1/{secret}/scope");
        let answered = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..32 {
            callers.spawn(call_until_refused(server.address, path.clone(), Arc::clone(&answered)));
        }
        soon(async {
            while answered.load(Ordering::SeqCst) < 500 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server.stop.send(()).expect("the server runs");
        soon(server.ended).await.expect("the server does not panic");
        let lost: u64 = soon(callers.join_all()).await.into_iter().sum();
        assert_eq!(lost, 0, "requests without a response in round {round}");
    }
}

#[tokio::test]
async fn request_with_partially_sent_head_is_answered_during_shutdown() {
    let server = TestServer::over(memory(&world()).await, Options::default(), None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let (mut new, mut kept) = (server.connect().await, server.connect().await);
    assert_eq!(kept.request("/healthz").await.expect("a response").0, 200);
    for client in [&mut new, &mut kept] {
        let begin = format!("GET {path} HTTP/1.1\r\n");
        client.send_bytes(begin.as_bytes()).await.expect("sending succeeds");
    }
    let idle = &mut server.connect().await;
    assert_eq!(idle.request("/healthz").await.expect("a response").0, 200);
    server.stop.send(()).expect("the server runs");
    // An idle connection is closed during the shutdown, even while other heads are incomplete.
    idle.assert_closed_cleanly().await;
    for client in [&mut new, &mut kept] {
        client.send_bytes(b"host: x\r\n\r\n").await.expect("sending succeeds");
        let (status, body) = soon(client.receive()).await.expect("a response");
        assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));
    }
    soon(server.ended).await.expect("the server does not panic");
}

#[tokio::test]
async fn draining_server_serves_requests_but_is_not_ready() {
    let store = Faulty::new(memory(&world()).await);
    let mut options = Options::default();
    options.drain = Duration::from_secs(2);
    let server = TestServer::over(store.clone(), options, None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let mut client = server.connect().await;
    assert_eq!(client.request("/readyz").await.expect("a response").0, 200);
    server.stop.send(()).expect("the server runs");
    soon(async {
        while client.request("/readyz").await.expect("a response").0 == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut new = Client::connect(server.address).await.expect("the server still listens");
    new.send(&path, "", b"").await.expect("sending succeeds");
    soon(gate.reached()).await;
    gate.open();
    assert_eq!(soon(new.receive()).await.expect("a response").0, 200);
    soon(server.ended).await.expect("the server does not panic");
    let refused = Client::connect(server.address).await;
    refused.map(|_| ()).expect_err("the server has stopped");
}

#[tokio::test]
async fn hangups_are_received_and_do_not_terminate_the_process() {
    let mut hangup = hangup_signal().expect("a signal handler");
    for _ in 0..2 {
        let status = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
        assert!(status.expect("kill is installed").success());
        soon(hangup.received()).await;
    }
}
