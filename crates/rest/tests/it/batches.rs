//! `batch`.

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::support::{Answer, Wire, check_time, world};

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
    assert_eq!(
        keys(&times),
        keys(&sections["result"]),
        "each success has its time"
    );
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
