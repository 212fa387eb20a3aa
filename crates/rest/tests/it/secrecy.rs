//! Nothing that is secret is told: not in logs, answers or figures.

use axum::body::Body;
use axum::http::Request;
use crm_chat_rest::Options;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::log::Log;
use crate::support::{DELETE, Wire, memory, world};

#[tokio::test]
async fn no_secret_or_token_is_told_wherever_it_was_put() {
    let (log, _caught) = Log::catch();
    let wire = Wire::over(memory(&world()).await, Options::default()).await;
    let mut told = String::new();
    for secret in
        ["{secret}", "{scopeless}", "{inactive}", "{token}", "{expired}", "guess-of-a-secret"]
    {
        for path in [
            format!("/rest/1/{secret}/{DELETE}"),
            format!("/rest/13/{secret}/scope"),
            format!("/rest/1/{secret}"),
            format!("/rest/{secret}"),
            format!("/rest/api/1/{secret}/x"),
            format!("/{secret}"),
            format!("/rest/scope?auth={secret}"),
            format!("/rest/scope?a[{secret}=1"),
            format!("/rest/scope?bx24_request_id=%0A{secret}&auth={secret}"),
            format!(
                "/rest/{DELETE}?auth={secret}&USER_ID={secret}&CRM_ENTITY={secret}&CRM_ENTITY_TYPE={secret}"
            ),
            format!("/rest/batch?auth={secret}&cmd[{secret}]={secret}&cmd[a]=scope?auth={secret}"),
        ] {
            let request = Request::post(wire.secrets.fill(&path).replace('[', "%5B"))
                .header("Authorization", wire.secrets.fill(&format!("Bearer {secret}")))
                .header("Content-Type", "application/json")
                .body(Body::from(wire.secrets.fill(&format!("{{\"{secret}\": \"{secret}\", }}"))));
            told += &ask(&wire, request.expect("a request"), &path).await;
            let request = Request::get(wire.secrets.fill(&path)).body(Body::empty());
            told += &ask(&wire, request.expect("a request"), &path).await;
        }
    }
    told += &ask(&wire, Request::get("/metrics").body(Body::empty()).expect("a request"), "").await;
    told += &log.text();

    assert!(log.text().matches("request completed").count() > 100, "each call has its line");
    for secret in
        ["{secret}", "{scopeless}", "{inactive}", "{token}", "{expired}", "guess-of-a-secret"]
    {
        let secret = wire.secrets.fill(secret);
        let line = told.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret was told");
    }
}

/// Returns all of an answer, but for the ids of a batch's commands, which are the caller's own words.
async fn ask(wire: &Wire, request: Request<Body>, path: &str) -> String {
    let response =
        wire.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let head = format!("{:?}\n", response.headers());
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    if path.contains("/batch") {
        return head;
    }
    head + &String::from_utf8(body.into()).expect("text") + "\n"
}

#[tokio::test]
async fn a_call_has_one_line_with_what_an_operator_asks_for() {
    let (log, _caught) = Log::catch();
    let wire = Wire::over(memory(&world()).await, Options::default()).await;
    wire.get(&format!("/rest/1/{{secret}}/{DELETE}?bx24_request_id=abc-1&USER_ID=0")).await;
    wire.get("/rest/1/{secret}/nope?bx24_request_id=abc-2").await;
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("request completed")).collect();
    let [line, unknown] = *lines.as_slice() else {
        panic!("{text}");
    };
    for part in [
        "INFO",
        "request_id=\"abc-1\"",
        "method=\"imopenlines.crm.chat.user.delete\"",
        "actor=1",
        "code=\"CRM_CHAT_EMPTY_USER\"",
        "milliseconds=",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(unknown.contains("method=\"unknown\"") && !unknown.contains("nope"), "{unknown}");
}

#[tokio::test]
async fn figures_count_calls_by_method_and_code() {
    let wire = Wire::over(memory(&world()).await, Options::default()).await;
    wire.get("/rest/1/{secret}/scope").await;
    wire.get("/rest/1/{secret}/scope").await;
    wire.get("/rest/1/wrong/scope").await;
    wire.get("/rest/1/{secret}/batch?cmd[]=profile&cmd[]=nope").await;
    wire.get("/no/such/path").await;
    let figures =
        ask(&wire, Request::get("/metrics").body(Body::empty()).expect("a request"), "").await;
    for line in [
        r#"crm_chat_calls_total{method="scope",code="OK"} 2"#,
        r#"crm_chat_calls_total{method="scope",code="INVALID_CREDENTIALS"} 1"#,
        r#"crm_chat_calls_total{method="batch",code="OK"} 1"#,
        r#"crm_chat_calls_total{method="profile",code="OK"} 1"#,
        r#"crm_chat_calls_total{method="unknown",code="ERROR_METHOD_NOT_FOUND"} 2"#,
        r#"crm_chat_call_duration_seconds_count{method="scope"} 3"#,
        "crm_chat_calls_in_flight 0",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line} in {figures}");
    }
}
