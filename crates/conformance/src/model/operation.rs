//! The operations on a store, and its responses.

use std::fmt;

use crm_chat_domain::snapshot::EditRejection;
use crm_chat_domain::{Answer, Edit, IfAbsent, Input, Removal, Request, Snapshot, UserId};
use serde::de::{Deserializer, Error};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::difference::{Difference, difference};
use super::explanation::ModelExplanation;

/// An operation on a store.
///
/// Displayed and serialized as JSON:
/// `{"remove":{"actor":1,"CRM_ENTITY_TYPE":"deal","CRM_ENTITY":21,"USER_ID":3}}`,
/// `{"remove_many":[…]}`, `{"explain":{…}}`, `{"edit":{…}}` or `"dump"`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Removes a user.
    Remove(RemovalCall),
    /// Removes several users in one transaction. Requests that violate rules 1 to 5 are answered
    /// without it.
    RemoveMany(Vec<RemovalCall>),
    /// Explains a removal.
    Explain(RemovalCall),
    /// Applies an edit.
    Edit(Edit),
    /// Dumps everything.
    Dump,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Formats the operation as it is displayed, so that a counterexample can be pasted.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A removal request and its actor. Serialized as a line of `crm-chat apply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalCall {
    /// The user who makes the request.
    pub actor: UserId,
    /// The request, not yet parsed.
    pub request: Request,
}

impl RemovalCall {
    /// Creates a call from a typed removal.
    #[must_use]
    pub fn new(actor: UserId, removal: &Removal) -> Self {
        let request = removal.into();
        Self { actor, request }
    }
}

impl Serialize for RemovalCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = &self.request;
        let fields = [
            ("CRM_ENTITY_TYPE", &request.crm_entity_type),
            ("CRM_ENTITY", &request.crm_entity),
            ("USER_ID", &request.user_id),
            ("CHAT_ID", &request.chat_id),
        ];
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("actor", &self.actor)?;
        for (name, input) in fields {
            if *input != Input::Absent {
                map.serialize_entry(name, &value(input))?;
            }
        }
        if request.if_absent != IfAbsent::default() {
            map.serialize_entry("if_absent", &request.if_absent)?;
        }
        map.end()
    }
}

/// The fields of a call. Any other is rejected: a misspelt field must not count as missing.
const FIELDS: [&str; 6] =
    ["actor", "CRM_ENTITY_TYPE", "CRM_ENTITY", "USER_ID", "CHAT_ID", "if_absent"];

/// Returns a JSON value that parses as the input.
fn value(input: &Input) -> Value {
    match input {
        Input::Absent => Value::Null,
        Input::Number(number) => json!(number),
        Input::Text(text) => json!(text),
        Input::Other => json!(-1),
    }
}

impl<'de> Deserialize<'de> for RemovalCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        if let Some(unknown) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(D::Error::unknown_field(unknown, &FIELDS));
        }
        let field = |name: &str| map.get(name).cloned();
        let actor = field("actor").ok_or_else(|| D::Error::missing_field("actor"))?;
        let if_absent = field("if_absent").unwrap_or_else(|| json!(IfAbsent::default()));
        let actor = serde_json::from_value(actor).map_err(D::Error::custom)?;
        let if_absent = serde_json::from_value(if_absent).map_err(D::Error::custom)?;
        let request = Request::deserialize(Value::Object(map)).map_err(D::Error::custom)?;
        let request = Request { if_absent, ..request };
        Ok(Self { actor, request })
    }
}

/// The response of a store to an [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The response to [`Operation::Remove`].
    Answer(Answer),
    /// The response to [`Operation::RemoveMany`].
    Answers(Vec<Answer>),
    /// The response to [`Operation::Explain`].
    Explained(ModelExplanation),
    /// The response to [`Operation::Edit`].
    Edited(Result<(), EditRejection>),
    /// The response to [`Operation::Dump`].
    Dumped(Snapshot),
}

impl Response {
    /// Returns whether `actual` agrees with this expected response. Dumps are compared by
    /// [`difference()`].
    #[must_use]
    pub fn matches(&self, actual: &Self) -> bool {
        match (self, actual) {
            (Self::Dumped(expected), Self::Dumped(actual)) => {
                difference(expected, actual).is_none()
            }
            (expected, actual) => expected == actual,
        }
    }

    /// Returns the difference between an expected and an actual dump; `None` for all other
    /// responses.
    #[must_use]
    pub fn difference(&self, actual: &Self) -> Option<Difference> {
        match (self, actual) {
            (Self::Dumped(expected), Self::Dumped(actual)) => difference(expected, actual),
            _ => None,
        }
    }
}
