//! Sends arbitrary requests. Each must get a well-formed response with a documented code.
//!
//! A failure prints the request. Use `PROPTEST_CASES=100000 cargo test -p crm-chat-rest fuzz` to
//! run more cases.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::support::{ApiResponse, DELETE, TestRouter, low_limits, memory, world};

/// The codes of client errors. No request of this test may end in a server error.
const DOCUMENTED: [(u16, &str); 20] = [
    (400, "CRM_CHAT_EMPTY_USER"),
    (400, "CRM_CHAT_EMPTY_CRM_DATA"),
    (400, "ERROR_ARGUMENT"),
    (403, "ACCESS_DENIED"),
    (400, "IM_NOT_INSTALLED"),
    (400, "CHAT_NOT_IN_CRM"),
    (403, "CHAT_DELETE_USER_PERMISSION_DENIED"),
    (400, "CRM_CHAT_USER_NOT_ACTIVE"),
    (400, "WRONG_REQUEST"),
    (401, "NO_AUTH_FOUND"),
    (401, "INVALID_CREDENTIALS"),
    (401, "invalid_token"),
    (401, "expired_token"),
    (401, "insufficient_scope"),
    (401, "authorization_error"),
    (404, "ERROR_METHOD_NOT_FOUND"),
    (400, "INVALID_REQUEST"),
    (413, "INVALID_REQUEST"),
    (405, "INVALID_REQUEST"),
    (404, "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION"),
];

const COMMAND_CODES: [&str; 2] = ["ERROR_BATCH_LENGTH_EXCEEDED", "ERROR_BATCH_METHOD_NOT_ALLOWED"];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a tokio runtime"));
static ROUTER: LazyLock<TestRouter> = LazyLock::new(|| {
    RUNTIME.block_on(async { TestRouter::over(memory(&world()).await, low_limits()).await })
});

#[derive(Clone, Debug)]
struct Raw {
    verb: &'static str,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

/// Generates a word with a meaning in some part of a request, or any text.
fn arb_word() -> impl Strategy<Value = String> {
    let known = select(vec![
        "CRM_ENTITY_TYPE",
        "CRM_ENTITY",
        "USER_ID",
        "CHAT_ID",
        "auth",
        "cmd",
        "halt",
        "name",
        "bx24_request_id",
        "deal",
        "lead",
        "DEAL",
        "288",
        "5",
        "12",
        "7",
        "8773",
        "0",
        "-1",
        "1e3",
        "99999999999999999999",
        "true",
        "null",
        "batch",
        "scope",
        "profile",
        "method.get",
        "app.info",
        "server.time",
        DELETE,
        "{secret}",
        "{token}",
        "{expired}",
        "$result[a]",
        "$result[0][ID]",
        "a",
        "",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "\\PC{0,6}", 1 => ".{0,4}"]
}

/// Generates words joined by punctuation with a meaning in some encoding.
fn arb_text() -> impl Strategy<Value = String> {
    let mark = select(vec![
        "=",
        "&",
        "[",
        "]",
        "[]",
        "][",
        "[a]",
        "?",
        "%",
        "%5B",
        "%ff",
        "%00",
        "+",
        ";",
        "/",
        "//",
        ".json",
        "\"",
        "{",
        "}",
        ":",
        ",",
        "=deal&",
        "&USER_ID=",
        "&CRM_ENTITY=",
        "cmd[a]=",
    ]);
    vec(prop_oneof![arb_word(), mark.prop_map(str::to_owned)], 0..16)
        .prop_map(|parts| parts.concat())
}

fn arb_removal() -> impl Strategy<Value = String> {
    vec((select(vec!["CRM_ENTITY_TYPE", "CRM_ENTITY", "USER_ID", "CHAT_ID"]), arb_word()), 0..6)
        .prop_map(|pairs| {
            pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&")
        })
}

fn arb_json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        arb_word().prop_map(Json::String),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        Just(Json::Null),
    ];
    let tree = leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            vec((arb_word(), inner), 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    });
    (tree, any::<prop::sample::Index>(), prop::bool::weighted(0.1)).prop_map(
        |(tree, index, cut)| {
            let mut text = tree.to_string();
            if cut {
                let end =
                    (0..=index.index(text.len())).rev().find(|end| text.is_char_boundary(*end));
                text.truncate(end.unwrap_or_default());
            }
            text
        },
    )
}

fn arb_commands() -> impl Strategy<Value = String> {
    let command = (arb_word(), prop_oneof![arb_removal(), arb_text()])
        .prop_map(|(method, query)| format!("{method}?{query}"));
    (vec(command, 0..4), any::<bool>())
        .prop_map(|(commands, halt)| serde_json::json!({"cmd": commands, "halt": halt}).to_string())
}

fn arb_multipart() -> impl Strategy<Value = String> {
    vec((arb_word(), arb_text()), 0..3).prop_map(|fields| {
        let fields = fields.iter().map(|(name, value)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        });
        fields.collect::<String>() + "--x--"
    })
}

fn arb_body() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let form = "application/x-www-form-urlencoded";
    let of = |content_type: &'static str| move |text: String| (content_type, text.into_bytes());
    prop_oneof![
        Just(("", Vec::new())),
        arb_removal().prop_map(of(form)),
        arb_text().prop_map(of(form)),
        arb_json_text().prop_map(of("application/json")),
        arb_commands().prop_map(of("application/json")),
        arb_multipart().prop_map(of("multipart/form-data; boundary=x")),
        (
            select(vec![
                form,
                "application/json",
                "multipart/form-data; boundary=x",
                "text/plain",
                ";",
                "multipart/form-data"
            ]),
            vec(any::<u8>(), 0..1500)
        ),
    ]
}

fn arb_path() -> impl Strategy<Value = String> {
    let method =
        prop_oneof![2 => Just(DELETE.to_owned()), 1 => Just("batch".to_owned()), 2 => arb_word()];
    let path = prop_oneof![
        4 => method.clone().prop_map(|method| format!("/rest/1/{{secret}}/{method}")),
        2 => method.prop_map(|method| format!("/rest/{method}")),
        1 => vec(arb_word(), 0..6).prop_map(|parts| format!("/{}", parts.join("/"))),
    ];
    (path, prop_oneof![Just(String::new()), arb_removal(), arb_text()])
        .prop_map(|(path, query)| format!("{path}?{query}"))
}

fn arb_raw() -> impl Strategy<Value = Raw> {
    let header = prop_oneof![
        (
            Just("authorization"),
            arb_word().prop_map(|token| format!("Bearer {token}").into_bytes())
        ),
        (
            select(vec!["authorization", "content-encoding", "content-length", "expect", "x"]),
            vec(any::<u8>(), 0..20)
        ),
    ];
    let verb = prop_oneof![
        8 => Just("POST"),
        4 => Just("GET"),
        1 => select(vec!["PATCH", "PUT", "OPTIONS", "X"]),
    ];
    (verb, arb_path(), vec(header, 0..3), arb_body()).prop_map(
        |(verb, path, mut headers, (content_type, body))| {
            headers.push(("content-type", content_type.as_bytes().to_vec()));
            Raw { verb, path, headers, body }
        },
    )
}

/// Builds a request, or returns `None` if it cannot be represented in HTTP.
fn request(raw: &Raw) -> Option<Request<Body>> {
    let keep = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>' | b'"' | b'`' | b'\\')
    };
    let path: String = ROUTER
        .secrets
        .fill(&raw.path)
        .bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let mut request = Request::builder().method(raw.verb).uri(path);
    for (name, value) in &raw.headers {
        let value = String::from_utf8(value.clone())
            .map_or_else(|_| value.clone(), |text| ROUTER.secrets.fill(&text).into());
        request = request.header(*name, value);
    }
    let body = String::from_utf8(raw.body.clone())
        .map_or_else(|_| raw.body.clone(), |text| ROUTER.secrets.fill(&text).into());
    request.body(Body::from(body)).ok()
}

fn check(response: ApiResponse) -> Result<(), TestCaseError> {
    let ApiResponse { status, body } = &response;
    if *status == 200 {
        prop_assert!(body["error"].is_null() && !body["result"].is_null(), "{body}");
        for error in errors(&body["result"]["result_error"]) {
            check_error(error, |code| {
                COMMAND_CODES.contains(&code) || DOCUMENTED.iter().any(|(_, known)| *known == code)
            })?;
        }
        response.without_time();
        return Ok(());
    }
    if body["error"].is_object() {
        let code = body["error"]["code"].as_str().unwrap_or_default();
        prop_assert!(DOCUMENTED.contains(&(*status, code)), "{status} {body}");
        return Ok(());
    }
    check_error(body, |code| DOCUMENTED.contains(&(*status, code)))
}

fn errors(section: &Json) -> Vec<&Json> {
    match section {
        Json::Object(map) => map.values().collect(),
        Json::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    }
}

fn check_error(error: &Json, documented: impl Fn(&str) -> bool) -> Result<(), TestCaseError> {
    let code = error["error"].as_str().unwrap_or_default();
    prop_assert!(documented(code), "{error}");
    prop_assert!(
        error["error_description"].as_str().is_some_and(|text| !text.is_empty()),
        "{error}"
    );
    prop_assert!(error["result"].is_null(), "{error}");
    prop_assert_eq!(error["argument"].is_string(), code == "ERROR_ARGUMENT", "{}", error);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("PROPTEST_CASES")
        .ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)))]

    #[test]
    fn every_request_gets_a_well_formed_response_with_a_documented_code(raw in arb_raw()) {
        if let Some(request) = request(&raw) {
            let response = RUNTIME.block_on(ROUTER.send(request));
            check(response)?;
        }
    }
}
