//! Graceful shutdown, as callers see it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
use crm_chat_rest::{Options, hangup_signal};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use crate::sockets::{Client, Running, soon};
use crate::support::{memory, world};

/// Calls on kept and on new connections, until the server no longer listens. Returns the number of
/// requests that were sent but not answered.
async fn call_until_refused(address: SocketAddr, path: String, answered: Arc<AtomicU64>) -> u64 {
    let mut lost = 0;
    while let Ok(mut client) = Client::connect(address).await {
        let mut open = true;
        while open {
            client.send(&path, "", b"").await.expect("it is sent");
            let Ok(reply) = client.receive_reply().await else {
                lost += 1;
                break;
            };
            let error = reply.json()["error"].clone();
            match reply.status {
                200 => assert_eq!(error, Json::Null),
                status => assert_eq!((status, error), (503, json!("OVERLOAD_LIMIT"))),
            }
            answered.fetch_add(1, Ordering::SeqCst);
            // An answer that announces the end of its connection takes no further request.
            open = !reply.headers.contains_key("connection");
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_were_sent_before_the_listener_closed_are_answered() {
    for round in 0..5 {
        let server = Running::over(memory(&world()).await, Options::default(), None).await;
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
        assert_eq!(lost, 0, "requests without an answer in round {round}");
    }
}

#[tokio::test]
async fn a_request_whose_head_is_half_sent_is_answered_by_a_stopping_server() {
    let server = Running::over(memory(&world()).await, Options::default(), None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let (mut new, mut kept) = (server.connect().await, server.connect().await);
    assert_eq!(kept.ask("/healthz").await.expect("an answer").0, 200);
    for client in [&mut new, &mut kept] {
        let begin = format!("GET {path} HTTP/1.1\r\n");
        client.send_bytes(begin.as_bytes()).await.expect("it is sent");
    }
    let idle = &mut server.connect().await;
    assert_eq!(idle.ask("/healthz").await.expect("an answer").0, 200);
    server.stop.send(()).expect("the server runs");
    // An idle connection outlives neither the stop nor the half-sent heads.
    idle.assert_closed_cleanly().await;
    for client in [&mut new, &mut kept] {
        client.send_bytes(b"host: x\r\n\r\n").await.expect("it is sent");
        let (status, body) = soon(client.receive()).await.expect("an answer");
        assert_eq!((status, &body["error"]), (503, &json!("OVERLOAD_LIMIT")));
    }
    soon(server.ended).await.expect("the server does not panic");
}

#[tokio::test]
async fn a_draining_server_serves_on_while_it_reports_that_it_is_not_ready() {
    let store = Faulty::new(memory(&world()).await);
    let mut options = Options::default();
    options.drain = Duration::from_secs(2);
    let server = Running::over(store.clone(), options, None).await;
    let path = server.secrets.fill("/rest/1/{secret}/scope");
    let mut client = server.connect().await;
    assert_eq!(client.ask("/readyz").await.expect("an answer").0, 200);
    server.stop.send(()).expect("the server runs");
    soon(async {
        while client.ask("/readyz").await.expect("an answer").0 == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gate = Gate::default();
    store.inject(1, Fault::StallBefore(gate.clone()));
    let mut new = Client::connect(server.address).await.expect("it listens");
    new.send(&path, "", b"").await.expect("it is sent");
    soon(gate.reached()).await;
    gate.open();
    assert_eq!(soon(new.receive()).await.expect("an answer").0, 200);
    soon(server.ended).await.expect("the server does not panic");
    let refused = Client::connect(server.address).await;
    refused.map(|_| ()).expect_err("the server has stopped");
}

#[tokio::test]
async fn hangups_are_received_and_do_not_end_the_process() {
    let mut hangup = hangup_signal().expect("a handler");
    for _ in 0..2 {
        let status = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
        assert!(status.expect("kill is installed").success());
        soon(hangup.received()).await;
    }
}
