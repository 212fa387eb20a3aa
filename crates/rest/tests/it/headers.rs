//! Headers of answers, and verbs and bodies that are answered with a hint.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use crm_chat_rest::Options;
use serde_json::json;

use crate::support::{Answer, DELETE, Wire, memory, world};

async fn wire(options: Options) -> Wire {
    Wire::over(memory(&world()).await, options).await
}

/// Asks by `VERB PATH`, and returns the status and some headers.
async fn headers<const N: usize>(
    wire: &Wire,
    line: &str,
    names: [HeaderName; N],
) -> (u16, [Option<String>; N]) {
    let (verb, path) = line.split_once(' ').expect("a verb and a path");
    let request = Request::builder().method(verb).uri(wire.secrets.fill(path));
    let response = wire.respond(request.body(Body::empty()).expect("a request")).await;
    let text = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    (response.status().as_u16(), names.map(text))
}

#[tokio::test]
async fn no_answer_is_cached_or_interpreted() {
    let wire = wire(Options::default()).await;
    for line in [
        "GET /rest/1/{secret}/scope",
        "GET /rest/1/wrong/scope",
        "PUT /rest/1/{secret}/scope",
        "GET /nope",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
        "POST /openapi.json",
    ] {
        let nosniff = HeaderName::from_static("x-content-type-options");
        let (_, actual) = headers(&wire, line, [CACHE_CONTROL, nosniff]).await;
        let expected = ["no-store", "nosniff"].map(|value| Some(value.to_owned()));
        assert_eq!(actual, expected, "{line}");
    }
}

#[tokio::test]
async fn answers_401_challenge_and_no_other_does() {
    let wire = wire(Options::default()).await;
    let realm = Some(r#"Bearer realm="crm-chat""#);
    let invalid = Some(r#"Bearer realm="crm-chat", error="invalid_token""#);
    let scope = Some(r#"Bearer realm="crm-chat", error="insufficient_scope""#);
    for (line, status, expected) in [
        ("GET /rest/scope", 401, realm),
        ("GET /rest/1/wrong/scope", 401, realm),
        ("GET /rest/13/{inactive}/scope", 401, realm),
        ("GET /rest/scope?auth=wrong", 401, invalid),
        ("GET /rest/scope?auth={expired}", 401, invalid),
        (&format!("GET /rest/1/{{scopeless}}/{DELETE}"), 401, scope),
        ("GET /rest/1/{secret}/scope", 200, None),
        ("GET /rest/1/{secret}/nope", 404, None),
    ] {
        let (actual_status, [actual]) = headers(&wire, line, [WWW_AUTHENTICATE]).await;
        assert_eq!((actual_status, actual.as_deref()), (status, expected), "{line}");
    }
}

#[tokio::test]
async fn answers_503_say_when_to_repeat() {
    let mut options = Options::default();
    options.max_concurrent_requests = 0;
    let wire = wire(options).await;
    for (line, status, expected) in
        [("GET /rest/1/{secret}/scope", 503, Some("1")), ("GET /rest/1/wrong/scope", 401, None)]
    {
        let (actual_status, [actual]) = headers(&wire, line, [RETRY_AFTER]).await;
        assert_eq!((actual_status, actual.as_deref()), (status, expected), "{line}");
    }
}

#[tokio::test]
async fn probes_are_read_by_get_and_head_alone() {
    let wire = wire(Options::default()).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        for verb in ["GET", "HEAD"] {
            let (status, _) = headers(&wire, &format!("{verb} {path}"), [ALLOW]).await;
            assert_eq!(status, 200, "{verb} {path}");
        }
        for verb in ["POST", "DELETE", "OPTIONS", "FROB"] {
            let (status, [allow]) = headers(&wire, &format!("{verb} {path}"), [ALLOW]).await;
            assert_eq!(status, 405, "{verb} {path}");
            assert_eq!(allow.as_deref(), Some("GET, HEAD"), "{verb} {path}");
        }
    }
    let (_, [allow]) = headers(&wire, "PUT /rest/1/{secret}/scope", [ALLOW]).await;
    assert_eq!(allow.as_deref(), Some("GET, POST"));
}

async fn post(wire: &Wire, content_type: &str, body: &'static str) -> Answer {
    let path = wire.secrets.fill(&format!("/rest/1/{{secret}}/{DELETE}"));
    let request = Request::post(path).header("content-type", content_type);
    wire.ask(request.body(body.into()).expect("a request")).await
}

#[tokio::test]
async fn json_sent_as_a_form_is_refused_with_a_hint() {
    let wire = wire(Options::default()).await;
    let form = "application/x-www-form-urlencoded";
    let hint = "; the body looks like JSON, but its `Content-Type` declares a form";
    for (content_type, body, hinted) in [
        (form, r#" {"USER_ID": 12, "CRM_ENTITY_TYPE": "deal"}"#, true),
        (form, "CRM_ENTITY=288", false),
        ("application/json", r#"{"CRM_ENTITY": 288}"#, false),
    ] {
        let answer = post(&wire, content_type, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert_eq!(answer.body["error"], json!("CRM_CHAT_EMPTY_USER"), "{body}");
        let description = answer.body["error_description"].as_str();
        let description = description.expect("a description");
        assert_eq!(description.ends_with(hint), hinted, "{description}");
    }
}
