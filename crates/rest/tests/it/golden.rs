//! Compares responses with golden files, for every encoding and every kind of credentials.

use std::fmt::Write;

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::support::{DELETE, TestRouter, low_limits, memory, world};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    name: String,
    #[serde(default)]
    without_messenger: bool,
    parameters: Map<String, Json>,
    status: u16,
    response: Json,
}

type Parameters = [(String, String)];

/// Encodes parameters. Returns the content type, the query and the body.
type Encoding = fn(&Map<String, Json>) -> (&'static str, String, String);

const FORM: &str = "application/x-www-form-urlencoded";

/// All supported encodings of parameters.
const ENCODINGS: [(&str, Encoding); 7] = [
    ("query", |map| ("", form(&pairs(map)), String::new())),
    ("form", |map| (FORM, String::new(), form(&pairs(map)))),
    ("form with brackets encoded", |map| {
        (FORM, String::new(), form(&pairs(map)).replace('[', "%5b").replace(']', "%5D"))
    }),
    ("multipart", |map| {
        ("multipart/form-data; boundary=\"the end\"", String::new(), multipart(&pairs(map)))
    }),
    ("JSON", |map| ("application/json", String::new(), json!(map).to_string())),
    ("JSON of strings", |map| {
        let strings = map.iter().map(|(name, value)| match value {
            Json::Number(number) => (name.clone(), json!(number.to_string())),
            _ => (name.clone(), value.clone()),
        });
        (
            "application/json; charset=utf-8",
            String::new(),
            json!(strings.collect::<Map<_, _>>()).to_string(),
        )
    }),
    ("half in the query, where the other half has wrong values", |map| {
        let pairs = pairs(map);
        let (body, query) = pairs.split_at(pairs.len() / 2);
        let wrong = body.iter().map(|(name, _)| (name.clone(), "wrong".to_owned()));
        let query: Vec<_> = wrong.chain(query.iter().cloned()).collect();
        (FORM, form(&query), form(body))
    }),
];

/// Flattens parameters into pairs, as PHP does.
fn pairs(map: &Map<String, Json>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in map {
        match value {
            Json::String(text) => pairs.push((name.clone(), text.clone())),
            Json::Array(list) => {
                pairs.extend(list.iter().map(|value| (format!("{name}[]"), value.to_string())));
            }
            other => pairs.push((name.clone(), other.to_string())),
        }
    }
    pairs
}

fn form(pairs: &Parameters) -> String {
    let encode = |text: &str| text.replace(' ', "+").replace('\n', "%0A");
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn multipart(pairs: &Parameters) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"");
        write!(text, "--the end\r\n{head}\r\n\r\n{value}\r\n").expect("a string");
    }
    text + "--the end--\r\n"
}

#[tokio::test]
async fn every_encoding_of_every_removal_gets_the_golden_response() {
    let removals: Vec<Removal> =
        serde_json::from_str(include_str!("golden/removals.json")).expect("golden removals");
    for removal in removals {
        for (encoding, encode) in ENCODINGS {
            for way in ["webhook", "token in the query", "token in the body", "token in the header"]
            {
                let response = send(&removal, encode, way).await;
                let context = format!("{} as {encoding} by {way}: {:?}", removal.name, response);
                assert_eq!(response.status, removal.status, "{context}");
                assert_eq!(response.without_time(), removal.response, "{context}");
            }
        }
    }
}

async fn send(removal: &Removal, encode: Encoding, way: &str) -> crate::support::ApiResponse {
    let mut world = world();
    world.messenger_installed = !removal.without_messenger;
    let router = TestRouter::new(&world).await;

    let mut parameters = removal.parameters.clone();
    let mut path = format!("/rest/{DELETE}");
    let mut header = "none".to_owned();
    let mut auth = String::new();
    match way {
        "webhook" => path = router.secrets.fill(&format!("/rest/1/{{secret}}/{DELETE}")),
        "token in the query" => auth = router.secrets.fill("auth={token}&"),
        "token in the body" => {
            parameters.insert("auth".to_owned(), json!(router.secrets.fill("{token}")));
        }
        _ => header = router.secrets.fill("Bearer {token}"),
    }
    let (content_type, query, body) = encode(&parameters);
    let request = if content_type.is_empty() {
        Request::get(format!("{path}?{auth}{query}"))
    } else {
        Request::post(format!("{path}?{auth}{query}")).header("Content-Type", content_type)
    };
    let request = request.header("Authorization", header).body(Body::from(body));
    router.send(request.expect("a request")).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    request: String,
    #[serde(default)]
    headers: Map<String, Json>,
    #[serde(default)]
    body: String,
    status: u16,
    response: Json,
}

#[tokio::test]
async fn every_other_call_gets_the_golden_response() {
    let calls: Vec<Call> =
        serde_json::from_str(include_str!("golden/errors.json")).expect("golden errors");
    let router = TestRouter::over(memory(&world()).await, low_limits()).await;
    for call in calls {
        let (verb, path) = call.request.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(verb).uri(router.secrets.fill(path));
        for (name, value) in &call.headers {
            request = request.header(name, router.secrets.fill(value.as_str().expect("a string")));
        }
        let body = Body::from(router.secrets.fill(&call.body));
        let response = router.send(request.body(body).expect("a request")).await;
        assert_eq!(response.status, call.status, "{}: {response:?}", call.name);
        assert_eq!(response.without_time(), call.response, "{}", call.name);
    }
}
