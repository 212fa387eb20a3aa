//! `$result[id][field][0]`: what a command of a batch takes from earlier ones.

use serde_json::Value as Json;

use crate::value::{Array, Value};

const START: &str = "$result[";

/// Replaces the references in all values. One that does not lead to a scalar stays as it is, as ordinary text.
pub(super) fn resolve(parameters: &mut Array, results: &[(String, Json)]) {
    for value in parameters.values_mut() {
        match value {
            Value::Array(array) => resolve(array, results),
            Value::Scalar(_) => {
                if let Some(text) = value.to_text().filter(|text| text.contains(START)) {
                    *value = Value::text(replace(&text, results));
                }
            }
        }
    }
}

fn replace(text: &str, results: &[(String, Json)]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(START) {
        let (before, reference) = rest.split_at(start);
        replaced.push_str(before);
        let (keys, length) = keys(reference);
        if let Some(value) = look_up(&keys, results) {
            replaced.push_str(&value);
            rest = &reference[length..];
        } else {
            replaced.push_str(START);
            rest = &reference[START.len()..];
        }
    }
    replaced + rest
}

/// Reads as many `[key]` as follow the `$result`; returns the keys, and how long it is with them.
fn keys(reference: &str) -> (Vec<&str>, usize) {
    let mut length = START.len() - 1;
    let mut keys = Vec::new();
    while let Some((key, _)) = reference[length..]
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        keys.push(key);
        length += key.len() + 2;
    }
    (keys, length)
}

fn look_up(keys: &[&str], results: &[(String, Json)]) -> Option<String> {
    let (id, path) = keys.split_first()?;
    let (_, result) = results.iter().find(|(known, _)| known == id)?;
    let value = path.iter().try_fold(result, |value, key| match value {
        Json::Array(list) => list.get(key.parse::<usize>().ok()?),
        Json::Object(map) => map.get(*key),
        _ => None,
    })?;
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        // As PHP writes them into a text.
        Json::Bool(true) => Some("1".to_owned()),
        Json::Bool(false) | Json::Null => Some(String::new()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_replaced_where_they_lead_to_a_scalar() {
        let results = [
            ("a".to_owned(), json!(8773)),
            (
                "0".to_owned(),
                json!({"x": [{"y": "Z"}], "yes": true, "no": false}),
            ),
        ];
        for (text, expected) in [
            ("$result[a]", "8773"),
            ("<$result[a]|$result[a]>", "<8773|8773>"),
            ("$result[0][x][0][y]", "Z"),
            ("$result[0][yes]/$result[0][no]/", "1//"),
            ("$result[a] [b]", "8773 [b]"),
            ("$result[b]", "$result[b]"),
            ("$result[a][b]", "$result[a][b]"),
            ("$result[0]", "$result[0]"),
            ("$result[0][x]", "$result[0][x]"),
            ("$result[0][x][00][y]", "Z"),
            ("$result[a", "$result[a"),
            ("$result[", "$result["),
            ("$result[]", "$result[]"),
            ("$result[$result[a]", "$result[8773"),
            ("$result", "$result"),
            ("é$result[a]é", "é8773é"),
        ] {
            assert_eq!(replace(text, &results), expected, "{text}");
        }
    }
}
