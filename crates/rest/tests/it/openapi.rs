//! Compares `/openapi.json` with actual responses.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value as Json, json};

use crate::support::{ApiResponse, DELETE, TestRouter, world};

/// Returns the schema of a response.
#[track_caller]
fn schema(description: &Json, path: &str, verb: &str, status: u16) -> Json {
    let responses = &description["paths"][path][verb]["responses"];
    let mut schema = responses[status.to_string()]["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{status} of {verb} {path} is not described");
    // References are relative to the root of the document.
    schema["components"] = description["components"].clone();
    schema
}

#[track_caller]
fn check(description: &Json, path: &str, verb: &str, response: &ApiResponse) {
    let schema = schema(description, path, verb, response.status);
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let errors: Vec<_> =
        validator.iter_errors(&response.body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{path}: {response:?}");
}

#[tokio::test]
async fn responses_match_their_schemas() {
    let router = TestRouter::new(&world()).await;
    let description = router.get("/openapi.json").await.body;
    let removal = "CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID";
    let batch = "cmd[a]=scope&cmd[b]=nope&cmd[c]=imopenlines.crm.chat.user.delete&cmd[d]=batch";
    for (method, query) in [
        (DELETE, ""),
        (DELETE, &format!("{removal}=12")),
        (DELETE, &format!("{removal}=12")),
        (DELETE, &format!("{removal}=12&CHAT_ID=x")),
        (DELETE, "CRM_ENTITY_TYPE=lead&CRM_ENTITY=5&USER_ID=12"),
        (DELETE, "CRM_ENTITY_TYPE=lead&CRM_ENTITY=6&USER_ID=12"),
        ("batch", ""),
        ("batch", "cmd=x"),
        ("batch", &batch.replace('[', "%5B").replace(']', "%5D")),
        ("batch", "cmd[]=scope&cmd[]=profile"),
        ("server.time", ""),
        ("scope", ""),
        ("methods", ""),
        ("method.get", "name=batch"),
        ("profile", ""),
        ("app.info", ""),
    ] {
        let webhook = "/rest/{user}/{secret}/";
        let response = router.get(&format!("/rest/1/{{secret}}/{method}?{query}")).await;
        check(&description, &format!("{webhook}{method}"), "get", &response);
        let wrong = router.get(&format!("/rest/1/wrong/{method}?{query}")).await;
        check(&description, &format!("{webhook}{method}"), "get", &wrong);
        let response = router.get(&format!("/rest/{method}?auth={{token}}&{query}")).await;
        check(&description, &format!("/rest/{method}"), "get", &response);

        let request = Request::post(format!("/rest/{method}")).body(Body::from(query.to_owned()));
        let untyped = router.send(request.expect("a request")).await;
        check(&description, &format!("/rest/{method}"), "post", &untyped);
    }
}

#[tokio::test]
async fn exactly_the_served_methods_are_described() {
    let router = TestRouter::new(&world()).await;
    let description = router.get("/openapi.json").await.body;
    assert_eq!(description["openapi"], "3.1.0");
    let served = router.get("/rest/1/{secret}/methods").await.body["result"].take();
    let served = served.as_array().expect("a list").iter().filter_map(Json::as_str);
    let expected: BTreeSet<_> = served
        .flat_map(|method| {
            ["/rest/{user}/{secret}/", "/rest/"].map(|path| format!("{path}{method}"))
        })
        .collect();
    let paths = description["paths"].as_object().expect("a map");
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), expected);

    let operations = paths.values().flat_map(|path| [&path["get"], &path["post"]]);
    let ids: Vec<_> = operations.map(|operation| operation["operationId"].to_string()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "operations' ids differ");
}

#[tokio::test]
async fn schemas_reject_invalid_responses() {
    let router = TestRouter::new(&world()).await;
    let description = router.get("/openapi.json").await.body;
    let path = format!("/rest/{DELETE}");
    let time = router.get("/rest/1/{secret}/scope").await.body["time"].take();
    for (status, body) in [
        (200, json!({"result": -1, "time": time})),
        (200, json!({"result": "8773", "time": time})),
        (200, json!({"result": 1})),
        (200, json!({"result": 1, "time": time, "error": "X"})),
        (400, json!({"error": "ACCESS_DENIED", "error_description": "x"})),
        (400, json!({"error": "WRONG_REQUEST"})),
        (500, json!({"error": "OVERLOAD_LIMIT", "error_description": "x"})),
    ] {
        let schema = schema(&description, &path, "get", status);
        assert!(!jsonschema::draft202012::is_valid(&schema, &body), "{status} {body}");
    }
}
