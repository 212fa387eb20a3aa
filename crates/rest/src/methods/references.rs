//! References such as `$result[id][field][0]`, by which a command of a batch uses earlier results.

use serde_json::Value as Json;

use crate::params::{Param, ParamMap};

const START: &str = "$result[";

/// The maximum length of a key in bytes. Longer keys are ordinary text.
const MAX_KEY: usize = 256;

/// Replaces the references in all values. A reference that does not lead to a scalar is ordinary
/// text and stays unchanged.
pub(super) fn resolve(params: &mut ParamMap, results: &[(String, Json)]) {
    for param in params.values_mut() {
        match param {
            Param::Map(map) => resolve(map, results),
            Param::Scalar(_) => {
                if let Some(text) = param.to_text().filter(|text| text.contains(START)) {
                    *param = Param::text(replace(&text, results));
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
        let Reference { keys, length, .. } = Reference::parse(reference);
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

/// A reference: `$result` and the keys after it.
struct Reference<'a> {
    keys: Vec<&'a str>,
    /// The length of the whole reference in bytes.
    length: usize,
    /// The number of bytes that were searched for the ends of keys, for the test of the running
    /// time.
    scanned: usize,
}

impl<'a> Reference<'a> {
    /// Parses the `$result` at the start of `reference` and all keys `[key]` after it.
    ///
    /// A key ends at the first bracket of either kind. The search from one `$result[` therefore
    /// never passes the next one, and replacing all references in a text takes linear time.
    fn parse(reference: &'a str) -> Self {
        let mut parsed = Self { keys: Vec::new(), length: START.len() - 1, scanned: 0 };
        while let Some(rest) = reference[parsed.length..].strip_prefix('[') {
            let window = &rest.as_bytes()[..rest.len().min(MAX_KEY + 1)];
            let end = window.iter().position(|byte| matches!(byte, b'[' | b']'));
            parsed.scanned += end.map_or(window.len(), |end| end + 1);
            match end {
                Some(end) if window[end] == b']' => {
                    parsed.keys.push(&rest[..end]);
                    parsed.length += end + 2;
                }
                _ => break,
            }
        }
        parsed
    }
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
        // PHP converts these to text in the same way.
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
    fn references_that_lead_to_a_scalar_are_replaced() {
        let results = [
            ("a".to_owned(), json!(8773)),
            ("0".to_owned(), json!({"x": [{"y": "Z"}], "yes": true, "no": false})),
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

    #[test]
    fn keys_longer_than_256_bytes_are_ordinary_text() {
        for (length, followed) in [(MAX_KEY, true), (MAX_KEY + 1, false)] {
            let key = "é".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" };
            let results = [(key.clone(), json!(1))];
            let text = format!("$result[{key}]");
            let expected = if followed { "1" } else { &text };
            assert_eq!(replace(&text, &results), expected, "{length}");
        }
    }

    /// Returns the number of bytes searched in the worst case, in which no reference leads
    /// anywhere.
    fn scanned(text: &str) -> usize {
        let starts = text.match_indices(START);
        let scanned = starts.map(|(start, _)| Reference::parse(&text[start..]).scanned);
        scanned.sum()
    }

    #[test]
    fn running_time_is_linear_in_the_length_of_the_text() {
        const LENGTH: usize = 1 << 20;
        for part in ["$result[", "$result[a", "$result[a][", "$result[]", "$result[a]"] {
            let text = part.repeat(LENGTH / part.len());
            assert!(scanned(&text) <= text.len(), "{part}");
            assert_eq!(replace(&text, &[]), text, "{part}");
        }
        let long_keys = format!("$result[{}", "x".repeat(10 * MAX_KEY)).repeat(100);
        assert!(scanned(&long_keys) <= long_keys.len());
        let many_keys = "$result[a]".to_owned() + &"[b]".repeat(LENGTH / 3);
        assert!(scanned(&many_keys) <= many_keys.len());
    }
}
