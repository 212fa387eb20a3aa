//! The method `batch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crm_chat_conformance::doubles::{Fault, Faulty, Gate, PortCall};
use crm_chat_rest::Options;

use crate::support::{ApiResponse, DELETE, TestRouter, assert_time, memory, world};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    name: String,
    /// Kept as raw text, because the order of commands matters.
    cmd: Box<RawValue>,
    #[serde(default)]
    halt: Json,
    response: Json,
}

async fn run_batch(cmd: &str, halt: &Json) -> ApiResponse {
    let router = TestRouter::new(&world()).await;
    let request = Request::post(router.secrets.fill("/rest/1/{secret}/batch"))
        .header("Content-Type", "application/json")
        .body(Body::from(format!("{{\"halt\": {halt}, \"cmd\": {cmd}}}")));
    router.send(request.expect("a request")).await
}

/// Checks the times in a response and returns its result without them.
#[track_caller]
fn without_times(response: ApiResponse) -> Json {
    assert_eq!(response.status, 200, "{response:?}");
    let mut result = response.without_time()["result"].take();
    let sections = result.as_object_mut().expect("an object");
    assert_eq!(sections.remove("result_total"), Some(json!([])));
    assert_eq!(sections.remove("result_next"), Some(json!([])));
    let times = sections.remove("result_time").expect("a section");
    assert_eq!(keys(&times), keys(&sections["result"]), "each success has its time");
    for time in values(&times) {
        assert_time(time);
    }
    result
}

fn keys(section: &Json) -> Vec<String> {
    match section {
        Json::Object(map) => map.keys().cloned().collect(),
        Json::Array(list) => (0..list.len()).map(|index| index.to_string()).collect(),
        other => panic!("no section: {other}"),
    }
}

fn values(section: &Json) -> Vec<&Json> {
    match section {
        Json::Object(map) => map.values().collect(),
        Json::Array(list) => list.iter().collect(),
        other => panic!("no section: {other}"),
    }
}

#[tokio::test]
async fn every_batch_gets_the_golden_response() {
    let text = include_str!("golden/batches.json");
    let batches: Vec<Batch> = serde_json::from_str(text).expect("golden batches");
    for batch in batches {
        let response = run_batch(batch.cmd.get(), &batch.halt).await;
        assert_eq!(without_times(response), batch.response, "{}", batch.name);
    }
}

#[tokio::test]
async fn each_command_beyond_50_ends_in_an_error() {
    let commands = json!(vec!["scope"; 53]).to_string();
    let result = without_times(run_batch(&commands, &Json::Null).await);
    assert_eq!(keys(&result["result"]).len(), 50);
    assert_eq!(keys(&result["result_error"]), ["50", "51", "52"]);
    for error in values(&result["result_error"]) {
        assert_eq!(error["error"], "ERROR_BATCH_LENGTH_EXCEEDED");
    }

    let halted = without_times(run_batch(&commands, &json!(true)).await);
    assert_eq!(keys(&halted["result_error"]), ["50"]);
}

#[tokio::test]
async fn batch_with_long_command_ids_is_rejected() {
    const MAX: usize = 16 << 10;
    let run_with_id =
        async |id: String| run_batch(&json!({id: "scope"}).to_string(), &Json::Null).await;
    let response = run_with_id("\u{1}".repeat(MAX)).await;
    assert_eq!(response.status, 200, "{response:?}");
    let response = run_with_id("x".repeat(MAX + 1)).await;
    let expected = json!({
        "error": "INVALID_REQUEST",
        "error_description": "the ids of the commands in `cmd` are longer than 16384 bytes together",
    });
    assert_eq!((response.status, response.body), (400, expected));
}

/// Runs a batch over a store that stalls at the `n`-th port call. Returns the response and the port
/// calls.
async fn run_stalled_batch(commands: &Json, n: usize) -> (ApiResponse, Vec<PortCall>) {
    let store = Faulty::new(memory(&world()).await);
    store.inject(n, Fault::StallBefore(Gate::default()));
    let router = TestRouter::over(store.clone(), Options::default()).await;
    let request = Request::post(router.secrets.fill("/rest/1/{secret}/batch"))
        .header("Content-Type", "application/json")
        .body(Body::from(json!({"cmd": commands}).to_string()));
    let response = router.send(request.expect("a request")).await;
    (response, store.calls())
}

#[tokio::test(start_paused = true)]
async fn batch_that_times_out_returns_the_results_so_far() {
    let removal = format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=");
    let [first, second] = ["7", "12"].map(|user| format!("{removal}{user}"));
    let (_, calls) = run_stalled_batch(&json!([first]), usize::MAX >> 1).await;
    let begin_of_second = calls.len() + 1;

    let began = Instant::now();
    let commands = json!([first, second, "scope", "x"]);
    let (response, calls) = run_stalled_batch(&commands, begin_of_second).await;
    let elapsed = began.elapsed();
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    assert_eq!(response.status, 200, "{response:?}");
    let result = &response.body["result"];
    assert_eq!(result["result"], json!([8773]), "{response:?}");
    let errors = &result["result_error"];
    assert_eq!(errors["1"]["error"], "INTERNAL_SERVER_ERROR", "{response:?}");
    for command in ["2", "3"] {
        assert_eq!(errors[command]["error"], "OVERLOAD_LIMIT", "{response:?}");
    }
    assert_eq!(calls.len(), begin_of_second, "no other command was begun");
}

#[tokio::test]
async fn batch_yields_between_its_commands() {
    let done = Arc::new(AtomicBool::new(false));
    let turns = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut turns = 0;
            while !done.load(Ordering::SeqCst) {
                turns += 1;
                tokio::task::yield_now().await;
            }
            turns
        }
    });
    let response = run_batch(&json!(vec!["x"; 50]).to_string(), &Json::Null).await;
    done.store(true, Ordering::SeqCst);
    assert_eq!(response.status, 200);
    let turns = turns.await.expect("the number of turns");
    assert!(turns >= 50, "other tasks had {turns} turns");
}
