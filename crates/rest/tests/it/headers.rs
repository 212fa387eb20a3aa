//! Response headers, and error descriptions with a hint.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use crm_chat_rest::Options;
use serde_json::json;

use crate::support::{ApiResponse, DELETE, TestRouter, memory, world};

async fn router(options: Options) -> TestRouter {
    TestRouter::over(memory(&world()).await, options).await
}

/// Sends `METHOD PATH` and returns the status and some headers of the response.
async fn headers<const N: usize>(
    router: &TestRouter,
    line: &str,
    names: [HeaderName; N],
) -> (u16, [Option<String>; N]) {
    let (verb, path) = line.split_once(' ').expect("a method and a path");
    let request = Request::builder().method(verb).uri(router.secrets.fill(path));
    let response = router.respond(request.body(Body::empty()).expect("a request")).await;
    let text = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    (response.status().as_u16(), names.map(text))
}

#[tokio::test]
async fn every_response_forbids_caching_and_sniffing() {
    let router = router(Options::default()).await;
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
        let (_, actual) = headers(&router, line, [CACHE_CONTROL, nosniff]).await;
        let expected = ["no-store", "nosniff"].map(|value| Some(value.to_owned()));
        assert_eq!(actual, expected, "{line}");
    }
}

#[tokio::test]
async fn only_401_responses_have_a_challenge() {
    let router = router(Options::default()).await;
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
        let (actual_status, [actual]) = headers(&router, line, [WWW_AUTHENTICATE]).await;
        assert_eq!((actual_status, actual.as_deref()), (status, expected), "{line}");
    }
}

#[tokio::test]
async fn only_503_responses_have_retry_after() {
    let mut options = Options::default();
    options.max_concurrent_requests = 0;
    let router = router(options).await;
    for (line, status, expected) in
        [("GET /rest/1/{secret}/scope", 503, Some("1")), ("GET /rest/1/wrong/scope", 401, None)]
    {
        let (actual_status, [actual]) = headers(&router, line, [RETRY_AFTER]).await;
        assert_eq!((actual_status, actual.as_deref()), (status, expected), "{line}");
    }
}

#[tokio::test]
async fn probes_allow_only_get_and_head() {
    let router = router(Options::default()).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        for verb in ["GET", "HEAD"] {
            let (status, _) = headers(&router, &format!("{verb} {path}"), [ALLOW]).await;
            assert_eq!(status, 200, "{verb} {path}");
        }
        for verb in ["POST", "DELETE", "OPTIONS", "FROB"] {
            let (status, [allow]) = headers(&router, &format!("{verb} {path}"), [ALLOW]).await;
            assert_eq!(status, 405, "{verb} {path}");
            assert_eq!(allow.as_deref(), Some("GET, HEAD"), "{verb} {path}");
        }
    }
    let (_, [allow]) = headers(&router, "PUT /rest/1/{secret}/scope", [ALLOW]).await;
    assert_eq!(allow.as_deref(), Some("GET, POST"));
}

async fn post(router: &TestRouter, content_type: &str, body: &'static str) -> ApiResponse {
    let path = router.secrets.fill(&format!("/rest/1/{{secret}}/{DELETE}"));
    let request = Request::post(path).header("content-type", content_type);
    router.send(request.body(body.into()).expect("a request")).await
}

#[tokio::test]
async fn json_sent_as_a_form_is_rejected_with_a_hint() {
    let router = router(Options::default()).await;
    let form = "application/x-www-form-urlencoded";
    let hint = "; the body looks like JSON, but its `Content-Type` declares a form";
    for (content_type, body, hinted) in [
        (form, r#" {"USER_ID": 12, "CRM_ENTITY_TYPE": "deal"}"#, true),
        (form, "CRM_ENTITY=288", false),
        ("application/json", r#"{"CRM_ENTITY": 288}"#, false),
    ] {
        let response = post(&router, content_type, body).await;
        assert_eq!(response.status, 400, "{body}: {response:?}");
        assert_eq!(response.body["error"], json!("CRM_CHAT_EMPTY_USER"), "{body}");
        let description = response.body["error_description"].as_str();
        let description = description.expect("a description");
        assert_eq!(description.ends_with(hint), hinted, "{description}");
    }
}
