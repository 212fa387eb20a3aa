//! JSON schemas of the parameters and results of the methods.

use serde_json::{Value as Json, json};

pub(super) fn none() -> Json {
    json!({})
}

pub(super) fn removal() -> Json {
    json!({
        "CRM_ENTITY_TYPE": {
            "type": "string",
            "description": "`lead`, `deal`, `company` or `contact`, in any letter case",
        },
        "CRM_ENTITY": {"$ref": "#/components/schemas/Id"},
        "USER_ID": {"$ref": "#/components/schemas/Id"},
        "CHAT_ID": {"$ref": "#/components/schemas/Id"},
    })
}

pub(super) fn chat() -> Json {
    json!({"type": "integer", "minimum": 0, "description": "The chat; 0 if the entity has none"})
}

pub(super) fn commands() -> Json {
    json!({
        "cmd": {
            "description": "The commands by their ids, each in the form `method?name=value`",
            "oneOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"type": "array", "items": {"type": "string"}},
            ],
        },
        "halt": {
            "description": "Set to stop at the first error",
            "enum": [0, 1, false, true, "0", "1"],
            "default": false,
        },
    })
}

pub(super) fn batch() -> Json {
    object(&json!({
        "result": section(&json!({})),
        "result_error": section(&json!({"$ref": "#/components/schemas/CommandError"})),
        "result_total": section(&json!(false)),
        "result_next": section(&json!(false)),
        "result_time": section(&json!({"$ref": "#/components/schemas/Time"})),
    }))
}

/// Describes a section of a batch's output, with entries by the ids of the commands.
fn section(entry: &Json) -> Json {
    json!({"oneOf": [
        {"type": "array", "items": entry},
        {"type": "object", "additionalProperties": entry, "minProperties": 1},
    ]})
}

pub(super) fn date() -> Json {
    json!({"type": "string", "format": "date-time"})
}

pub(super) fn full() -> Json {
    json!({"full": {"type": "boolean"}})
}

pub(super) fn names() -> Json {
    json!({"type": "array", "items": {"type": "string"}})
}

pub(super) fn name() -> Json {
    json!({"name": {"type": "string"}})
}

pub(super) fn availability() -> Json {
    object(&json!({"isExisting": {"type": "boolean"}, "isAvailable": {"type": "boolean"}}))
}

pub(super) fn profile() -> Json {
    object(
        &json!({"ID": {"type": "string", "pattern": "^[1-9][0-9]*$"}, "ACTIVE": {"const": true}}),
    )
}

pub(super) fn application() -> Json {
    let text = json!({"type": "string"});
    object(&json!({
        "ID": {"type": "integer"},
        "CODE": text,
        "VERSION": text,
        "STATUS": text,
        "INSTALLED": {"type": "boolean"},
        "PAYMENT_EXPIRED": text,
        "DAYS": {"type": "null"},
        "LANGUAGE_ID": text,
        "LICENSE": text,
        "SCOPE": text,
    }))
}

/// Describes an object with exactly these properties.
pub(crate) fn object(properties: &Json) -> Json {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(|map| map.keys()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}
