//! Secrets must not appear in logs, responses or metrics.

use axum::body::Body;
use axum::http::Request;
use crm_chat_rest::Options;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::log::Log;
use crate::support::{DELETE, TestRouter, memory, world};

#[tokio::test]
async fn secrets_and_tokens_appear_in_no_response_log_or_metric() {
    let (log, _guard) = Log::capture();
    let router = TestRouter::over(memory(&world()).await, Options::default()).await;
    let mut output = String::new();
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
                "/rest/{DELETE}?auth={secret}&USER_ID={secret}&CRM_ENTITY={secret}\
                 &CRM_ENTITY_TYPE={secret}"
            ),
            format!("/rest/batch?auth={secret}&cmd[{secret}]={secret}&cmd[a]=scope?auth={secret}"),
        ] {
            let request = Request::post(router.secrets.fill(&path).replace('[', "%5B"))
                .header("Authorization", router.secrets.fill(&format!("Bearer {secret}")))
                .header("Content-Type", "application/json")
                .body(Body::from(
                    router.secrets.fill(&format!("{{\"{secret}\": \"{secret}\", }}")),
                ));
            output += &response_text(&router, request.expect("a request"), &path).await;
            let request = Request::get(router.secrets.fill(&path)).body(Body::empty());
            output += &response_text(&router, request.expect("a request"), &path).await;
        }
    }
    output += &response_text(
        &router,
        Request::get("/metrics").body(Body::empty()).expect("a request"),
        "",
    )
    .await;
    output += &log.text();

    assert!(log.text().matches("request completed").count() > 100, "each call is logged");
    for secret in
        ["{secret}", "{scopeless}", "{inactive}", "{token}", "{expired}", "guess-of-a-secret"]
    {
        let secret = router.secrets.fill(secret);
        let line = output.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret appears in the output");
    }
}

/// Returns the headers and the body of a response. The body of a batch is left out, because it
/// repeats the ids of the commands, which the caller chose.
async fn response_text(router: &TestRouter, request: Request<Body>, path: &str) -> String {
    let response =
        router.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let head = format!("{:?}\n", response.headers());
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    if path.contains("/batch") {
        return head;
    }
    head + &String::from_utf8(body.into()).expect("text") + "\n"
}

#[tokio::test]
async fn each_call_is_logged_on_one_line() {
    let (log, _guard) = Log::capture();
    let router = TestRouter::over(memory(&world()).await, Options::default()).await;
    router.get(&format!("/rest/1/{{secret}}/{DELETE}?bx24_request_id=abc-1&USER_ID=0")).await;
    router.get("/rest/1/{secret}/nope?bx24_request_id=abc-2").await;
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
async fn calls_are_counted_by_method_and_code() {
    let router = TestRouter::over(memory(&world()).await, Options::default()).await;
    router.get("/rest/1/{secret}/scope").await;
    router.get("/rest/1/{secret}/scope").await;
    router.get("/rest/1/wrong/scope").await;
    router.get("/rest/1/{secret}/batch?cmd[]=profile&cmd[]=nope").await;
    router.get("/no/such/path").await;
    let metrics = response_text(
        &router,
        Request::get("/metrics").body(Body::empty()).expect("a request"),
        "",
    )
    .await;
    for line in [
        r#"crm_chat_calls_total{method="scope",code="OK"} 2"#,
        r#"crm_chat_calls_total{method="scope",code="INVALID_CREDENTIALS"} 1"#,
        r#"crm_chat_calls_total{method="batch",code="OK"} 1"#,
        r#"crm_chat_calls_total{method="profile",code="OK"} 1"#,
        r#"crm_chat_calls_total{method="unknown",code="ERROR_METHOD_NOT_FOUND"} 2"#,
        r#"crm_chat_call_duration_seconds_count{method="scope"} 3"#,
        "crm_chat_calls_in_flight 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}
