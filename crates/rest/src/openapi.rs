//! The OpenAPI description of the API, generated from the table of methods and the table of
//! codes.

use std::collections::BTreeMap;

use crm_chat_domain::Store;
use serde_json::{Map, Value as Json, json};

use crate::error::Wire;
use crate::methods::Method;
use crate::methods::schema::object;

/// The media types of request bodies.
const BODIES: [&str; 3] =
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Describes all paths under `/rest` in OpenAPI 3.1.
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
    let mut path = operations(method, "webhook", &json!([]));
    path["parameters"] = json!([
        path_parameter("user", &json!({"$ref": "#/components/schemas/Id"})),
        path_parameter("secret", &json!({"type": "string"})),
    ]);
    path
}

fn path_parameter(name: &str, schema: &Json) -> Json {
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}

fn oauth<S>(method: &Method<S>) -> Json {
    operations(method, "oauth", &json!([{"parameter": []}, {"header": []}]))
}

fn operations<S>(method: &Method<S>, auth: &str, security: &Json) -> Json {
    let parameters = (method.params)();
    let query: Vec<_> = parameters
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            json!({"name": name, "in": "query", "style": style(schema), "schema": schema})
        })
        .collect();
    let schema = json!({"type": "object", "properties": parameters});
    let content: Map<_, _> =
        BODIES.into_iter().map(|media| (media.to_owned(), json!({"schema": schema}))).collect();
    let responses = responses(method);
    json!({
        "get": {
            "operationId": format!("{}.{auth}.get", method.name),
            "summary": method.summary,
            "security": security,
            "parameters": query,
            "responses": responses,
        },
        "post": {
            "operationId": format!("{}.{auth}.post", method.name),
            "summary": method.summary,
            "security": security,
            "requestBody": {"content": content},
            "responses": responses,
        },
    })
}

/// Returns the style in which a query string encodes a parameter.
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
    // Only methods with a scope can end in a refusal of the rules.
    let refusals = Wire::refusals().filter(|_| method.scope.is_some());
    for Wire { status, code } in refusals.chain(Wire::PROTOCOL_CODES) {
        let codes = codes.entry(status).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for (status, codes) in codes {
        let response = response("The call failed", &error(&codes));
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
    let errors = Wire::refusals().chain(Wire::PROTOCOL_CODES).chain(Wire::BATCH_CODES);
    let mut codes: Vec<_> = errors.map(|error| error.code).collect();
    codes.sort_unstable();
    codes.dedup();
    error(&codes)
}

fn id() -> Json {
    json!({
        "description": "An integer from 1 to 9223372036854775807, as a number or as digits",
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
