//! How a line becomes a request.

use std::collections::BTreeMap;

use crm_chat_domain::{IfAbsent, Input, InvalidIdError, Removal, Request, UserId};

use crate::lines::{Line, problem};
use crate::reply::Reply;

/// One line that is to be answered. What is kept of it is small, however long it was.
pub(super) struct Ask {
    /// The line's number.
    pub(super) number: u64,
    /// How many bytes of the input end with it.
    pub(super) end: u64,
    /// The request and its actor, or the answer if the line alone decides it.
    pub(super) read: Result<(UserId, Removal), Reply>,
}

impl Ask {
    pub(super) fn read(line: &Line<'_>) -> Self {
        Self { number: line.number, end: line.end, read: read(line) }
    }
}

fn read(line: &Line<'_>) -> Result<(UserId, Removal), Reply> {
    let (actor, request) = request(line)
        .map_err(|problem| Reply::invalid(format!("line {}: {problem}", line.number)))?;
    match request.parse() {
        Ok(removal) => Ok((actor, removal)),
        Err(refusal) => Err(Reply::Refused(refusal)),
    }
}

fn request(line: &Line<'_>) -> Result<(UserId, Request), String> {
    let mut values = object(line.text.as_ref().map_err(Clone::clone)?)?;
    let actor = values.remove("actor").unwrap_or_default();
    let actor = actor.to_id().ok_or_else(|| format!("`actor`: {InvalidIdError}"))?;
    let if_absent = if_absent(&values.remove("if_absent").unwrap_or_default())?;
    let request = Request { if_absent, ..Request::from(values) };
    Ok((actor, request))
}

fn object(text: &str) -> Result<BTreeMap<String, Input>, String> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {}", problem(&error)))
}

fn if_absent(value: &Input) -> Result<IfAbsent, String> {
    match value {
        Input::Text(text) if text == "accept" => Ok(IfAbsent::Accept),
        Input::Text(text) if text == "refuse" => Ok(IfAbsent::Refuse),
        Input::Absent => Ok(IfAbsent::default()),
        _ => Err("`if_absent` must be `accept` or `refuse`".to_owned()),
    }
}
