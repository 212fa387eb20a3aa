//! Parsing of one line into a request.

use std::collections::BTreeMap;

use crm_chat_domain::{IfAbsent, Input, InvalidIdError, Removal, Request, UserId};

use crate::lines::{Line, json_error};
use crate::reply::Reply;

/// A line to be answered, parsed. Its size does not depend on the length of the text.
pub(super) struct InputLine {
    /// The number of the line.
    pub(super) number: u64,
    /// The offset of the end of the line in the input, in bytes.
    pub(super) end: u64,
    /// The actor and the removal, or the answer if it does not depend on the store.
    pub(super) removal: Result<(UserId, Removal), Reply>,
}

impl InputLine {
    pub(super) fn parse(line: &Line<'_>) -> Self {
        Self { number: line.number, end: line.end, removal: parse_removal(line) }
    }
}

fn parse_removal(line: &Line<'_>) -> Result<(UserId, Removal), Reply> {
    let (actor, request) = parse_request(line)
        .map_err(|problem| Reply::invalid(format!("line {}: {problem}", line.number)))?;
    match request.parse() {
        Ok(removal) => Ok((actor, removal)),
        Err(refusal) => Err(Reply::Refused(refusal)),
    }
}

fn parse_request(line: &Line<'_>) -> Result<(UserId, Request), String> {
    let mut values = parse_object(line.text.as_ref().map_err(Clone::clone)?)?;
    let actor = values.remove("actor").unwrap_or_default();
    let actor = actor.to_id().ok_or_else(|| format!("`actor`: {InvalidIdError}"))?;
    let if_absent = parse_if_absent(&values.remove("if_absent").unwrap_or_default())?;
    let request = Request { if_absent, ..Request::from(values) };
    Ok((actor, request))
}

fn parse_object(text: &str) -> Result<BTreeMap<String, Input>, String> {
    // Checked first: for another JSON value, the error of `serde_json` would be about Rust types.
    if !text.trim_ascii_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {}", json_error(&error)))
}

fn parse_if_absent(value: &Input) -> Result<IfAbsent, String> {
    match value {
        Input::Text(text) if text == "accept" => Ok(IfAbsent::Accept),
        Input::Text(text) if text == "refuse" => Ok(IfAbsent::Refuse),
        Input::Absent => Ok(IfAbsent::default()),
        _ => Err("`if_absent` must be `accept` or `refuse`".to_owned()),
    }
}
