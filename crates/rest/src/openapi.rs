//! `/openapi.json`, made of the table of methods and the table of codes.

use std::collections::BTreeMap;

use crm_chat_domain::Store;
use serde_json::{Map, Value as Json, json};

use crate::failure::{self, Failure};
use crate::methods::Method;
use crate::methods::schema::object;

/// The media types in which parameters may come.
const BODIES: [&str; 3] =
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Describes everything under `/rest` in `OpenAPI` 3.1.
pub(crate) fn describe<S: Store + 'static>() -> Json {
    let mut paths = Map::new();
    for method in Method::<S>::ALL {
        paths.insert(format!("/rest/{{user}}/{{secret}}/{}", method.name), webhook(method));
        paths.insert(format!("/rest/{}", method.name), oauth(method));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "crm-chat",
            "summary": "Removes users from the chats of CRM entities",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": {"Id": id(), "Time": time(), "CommandError": command_error()},
            "securitySchemes": {
                "parameter": {"type": "apiKey", "in": "query", "name": "auth"},
                "header": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

fn webhook<S>(method: &Method<S>) -> Json {
    let mut path = verbs(method, "webhook", &json!([]));
    path["parameters"] = json!([
        {"name": "user", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/Id"}},
        {"name": "secret", "in": "path", "required": true, "schema": {"type": "string"}},
    ]);
    path
}

fn oauth<S>(method: &Method<S>) -> Json {
    verbs(method, "oauth", &json!([{"parameter": []}, {"header": []}]))
}

fn verbs<S>(method: &Method<S>, way: &str, security: &Json) -> Json {
    let parameters = (method.parameters)();
    let query: Vec<_> = parameters
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| json!({"name": name, "in": "query", "style": style(schema), "schema": schema}))
        .collect();
    let schema = json!({"type": "object", "properties": parameters});
    let content: Map<_, _> =
        BODIES.into_iter().map(|media| (media.to_owned(), json!({"schema": schema}))).collect();
    let responses = responses(method);
    json!({
        "get": {
            "operationId": format!("{}.{way}.get", method.name),
            "summary": method.summary,
            "security": security,
            "parameters": query,
            "responses": responses,
        },
        "post": {
            "operationId": format!("{}.{way}.post", method.name),
            "summary": method.summary,
            "security": security,
            "requestBody": {"content": content},
            "responses": responses,
        },
    })
}

/// Returns how a parameter is written into a query string.
fn style(schema: &Json) -> &'static str {
    if schema["oneOf"].is_array() { "deepObject" } else { "form" }
}

fn responses<S>(method: &Method<S>) -> Json {
    let success = object(&json!({
        "result": (method.result)(),
        "time": {"$ref": "#/components/schemas/Time"},
    }));
    let mut responses = Map::new();
    responses.insert("200".to_owned(), response("The call succeeded", &success));

    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let refusals = Failure::refusals().filter(|_| method.scope.is_some());
    for (status, code) in refusals.chain(failure::OWN) {
        let codes = codes.entry(status).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for (status, codes) in codes {
        let response = response("The call did not succeed", &error(&codes));
        responses.insert(status.to_string(), response);
    }
    Json::Object(responses)
}

fn response(description: &str, schema: &Json) -> Json {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn error(codes: &[&str]) -> Json {
    json!({
        "type": "object",
        "properties": {
            "error": {"enum": codes},
            "error_description": {"type": "string", "minLength": 1},
            "argument": {"enum": ["CRM_ENTITY", "CHAT_ID"]},
        },
        "required": ["error", "error_description"],
        "additionalProperties": false,
    })
}

fn command_error() -> Json {
    let codes = Failure::refusals().chain(failure::OWN).map(|(_, code)| code);
    let mut codes: Vec<_> = codes.chain(failure::OF_COMMANDS).collect();
    codes.sort_unstable();
    codes.dedup();
    error(&codes)
}

fn id() -> Json {
    json!({
        "description": "A whole number from 1 to 9223372036854775807, as a number or as a string of digits",
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": i64::MAX},
            {"type": "string", "pattern": "^[ \\t\\r\\n]*[0-9]+[ \\t\\r\\n]*$"},
        ],
    })
}

fn time() -> Json {
    let seconds = json!({"type": "number", "minimum": 0});
    let date = json!({"type": "string", "format": "date-time"});
    object(&json!({
        "start": seconds,
        "finish": seconds,
        "duration": seconds,
        "processing": seconds,
        "date_start": date,
        "date_finish": date,
        "operating_reset_at": {"type": "integer", "minimum": 0},
        "operating": seconds,
    }))
}
