//! `batch`.

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

use crate::support::{Answer, DELETE, Wire, check_time, memory, world};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    name: String,
    /// As it stands there: the order of commands counts.
    cmd: Box<RawValue>,
    #[serde(default)]
    halt: Json,
    answer: Json,
}

async fn ask(cmd: &str, halt: &Json) -> Answer {
    let wire = Wire::new(&world()).await;
    let request = Request::post(wire.secrets.fill("/rest/1/{secret}/batch"))
        .header("Content-Type", "application/json")
        .body(Body::from(format!("{{\"halt\": {halt}, \"cmd\": {cmd}}}")));
    wire.ask(request.expect("a request")).await
}

/// Takes out of an answer what is never the same, checking it.
#[track_caller]
fn without_times(answer: Answer) -> Json {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut result = answer.without_time()["result"].take();
    let sections = result.as_object_mut().expect("an object");
    assert_eq!(sections.remove("result_total"), Some(json!([])));
    assert_eq!(sections.remove("result_next"), Some(json!([])));
    let times = sections.remove("result_time").expect("a section");
    assert_eq!(keys(&times), keys(&sections["result"]), "each success has its time");
    for time in values(&times) {
        check_time(time);
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
async fn every_batch_gets_the_golden_answer() {
    let text = include_str!("golden/batches.json");
    let batches: Vec<Batch> = serde_json::from_str(text).expect("golden batches");
    for batch in batches {
        let answer = ask(batch.cmd.get(), &batch.halt).await;
        assert_eq!(without_times(answer), batch.answer, "{}", batch.name);
    }
}

#[tokio::test]
async fn beyond_50_commands_each_ends_in_an_error() {
    let commands = json!(vec!["scope"; 53]).to_string();
    let result = without_times(ask(&commands, &Json::Null).await);
    assert_eq!(keys(&result["result"]).len(), 50);
    assert_eq!(keys(&result["result_error"]), ["50", "51", "52"]);
    for error in values(&result["result_error"]) {
        assert_eq!(error["error"], "ERROR_BATCH_LENGTH_EXCEEDED");
    }

    let halted = without_times(ask(&commands, &json!(true)).await);
    assert_eq!(keys(&halted["result_error"]), ["50"]);
}

#[tokio::test]
async fn answer_of_a_batch_is_bounded_however_long_the_ids_of_its_commands_are() {
    const MOST: usize = 16 << 10;
    let ask_with = async |id: String| ask(&json!({id: "scope"}).to_string(), &Json::Null).await;
    let answer = ask_with("\u{1}".repeat(MOST)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = ask_with("x".repeat(MOST + 1)).await;
    let expected = json!({
        "error": "INVALID_REQUEST",
        "error_description": "the ids of the commands in `cmd` are longer than 16384 bytes together",
    });
    assert_eq!((answer.status, answer.body), (400, expected));
}

/// Runs a batch over a store that does not answer the `n`-th port call; returns the port calls,
/// too.
async fn ask_stalled(commands: &Json, n: usize) -> (Answer, Vec<PortCall>) {
    let store = Faulty::new(memory(&world()).await);
    store.inject(n, Fault::StallBefore(Gate::default()));
    let wire = Wire::over(store.clone(), Options::default()).await;
    let request = Request::post(wire.secrets.fill("/rest/1/{secret}/batch"))
        .header("Content-Type", "application/json")
        .body(Body::from(json!({"cmd": commands}).to_string()));
    let answer = wire.ask(request.expect("a request")).await;
    (answer, store.calls())
}

#[tokio::test(start_paused = true)]
async fn batch_whose_time_is_up_answers_what_was_done() {
    let removal = format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=");
    let [first, second] = ["7", "12"].map(|user| format!("{removal}{user}"));
    let (_, calls) = ask_stalled(&json!([first]), usize::MAX >> 1).await;
    let begin_of_second = calls.len() + 1;

    let began = Instant::now();
    let commands = json!([first, second, "scope", "x"]);
    let (answer, calls) = ask_stalled(&commands, begin_of_second).await;
    let elapsed = began.elapsed();
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    assert_eq!(answer.status, 200, "{answer:?}");
    let result = &answer.body["result"];
    assert_eq!(result["result"], json!([8773]), "{answer:?}");
    let errors = &result["result_error"];
    assert_eq!(errors["1"]["error"], "INTERNAL_SERVER_ERROR", "{answer:?}");
    for command in ["2", "3"] {
        assert_eq!(errors[command]["error"], "OVERLOAD_LIMIT", "{answer:?}");
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
    let answer = ask(&json!(vec!["x"; 50]).to_string(), &Json::Null).await;
    done.store(true, Ordering::SeqCst);
    assert_eq!(answer.status, 200);
    let turns = turns.await.expect("a number of turns");
    assert!(turns >= 50, "other tasks had {turns} turns");
}
