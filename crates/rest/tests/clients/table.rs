//! The table of calls with their expected results.

use std::collections::BTreeMap;
use std::fs;

use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clients;
use crate::driver::Exposed;

/// The kind of credentials of a caller.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    Webhook,
    /// OAuth.
    Token,
}

impl Scheme {
    /// Returns the server's option that adds a credential.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Webhook => "--webhook",
            Self::Token => "--token",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    world: Map<String, Value>,
    /// The descriptions of the valid credentials for the server, by the names of the callers.
    pub(crate) credentials: BTreeMap<Scheme, BTreeMap<String, String>>,
    /// The fields that the records of all removals share.
    record: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The changes to the common world.
    #[serde(default)]
    world: Map<String, Value>,
    /// The only kind of credentials to which the case applies.
    auth: Option<Scheme>,
    /// The caller whose credentials are presented, if not the actor.
    #[serde(rename = "as")]
    caller: Option<String>,
    /// Set if the credentials are invalid, so that the whole request is rejected.
    #[serde(default)]
    rejected: bool,
    /// A feature that not every client supports.
    requires: Option<String>,
    #[serde(default = "delete")]
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
    /// The commands of a batch: their ids, each with a method or the parameters of a removal.
    commands: Option<Vec<(Value, Value)>>,
    #[serde(default)]
    halt: bool,
    expected: Map<String, Value>,
    #[serde(default)]
    removes: Vec<Map<String, Value>>,
}

fn delete() -> String {
    "imopenlines.crm.chat.user.delete".to_owned()
}

impl Table {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(clients().join("cases.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Returns the cases that a client supports.
    pub(crate) fn cases(&self, scheme: Scheme, exposed: &Exposed) -> Vec<&Case> {
        let fits = |case: &&Case| {
            case.auth.is_none_or(|auth| auth == scheme)
                && case
                    .requires
                    .as_ref()
                    .is_none_or(|feature| !exposed.unsupported.contains(feature))
        };
        self.cases.iter().filter(fits).collect()
    }

    pub(crate) fn world(&self, case: &Case) -> Snapshot {
        parse(merged(&self.world, &case.world))
    }

    pub(crate) fn removals(&self, case: &Case) -> Vec<RemovalRecord> {
        let removes = case.removes.iter();
        removes.map(|removed| parse(merged(&self.record, removed))).collect()
    }
}

fn command((id, what): &(Value, Value)) -> Value {
    match what {
        Value::String(method) => json!([id, method, {}]),
        params => json!([id, delete(), params]),
    }
}

impl Case {
    /// Returns the name of the caller.
    pub(crate) fn caller(&self) -> &str {
        self.caller.as_deref().unwrap_or("actor")
    }

    /// Returns the case in the form that drivers read.
    pub(crate) fn call(&self, auth: &Value) -> Value {
        match &self.commands {
            None => json!({"auth": auth, "method": self.method, "params": self.params}),
            Some(commands) => {
                let commands: Vec<_> = commands.iter().map(command).collect();
                json!({"auth": auth, "halt": self.halt, "commands": commands})
            }
        }
    }

    /// Compares what a client exposed with what it should expose of the expected response.
    pub(crate) fn verify(&self, exposed: &Exposed, observed: &Value) -> Result<(), String> {
        let expected = self.expected_of(exposed);
        if matches(&expected, observed) {
            Ok(())
        } else {
            Err(format!("expected {expected}, actual {observed}"))
        }
    }

    fn expected_of(&self, exposed: &Exposed) -> Value {
        let mut expected = self.expected.clone();
        if self.commands.is_some() && !expected.contains_key("error") {
            let errors = expected.entry("result_error").or_insert_with(|| json!({}));
            for error in errors.as_object_mut().unwrap().values_mut() {
                add_error_fields(error.as_object_mut().unwrap(), exposed);
            }
        }
        let fields = self.fields(exposed);
        expected.retain(|field, _| field == "argument" || fields.contains(field));
        add_error_fields(&mut expected, exposed);
        Value::Object(expected)
    }

    fn fields<'a>(&self, exposed: &'a Exposed) -> &'a [String] {
        match (self.expected.contains_key("error"), &self.commands) {
            (true, _) if self.rejected => &exposed.rejected,
            (true, _) => &exposed.refused,
            (false, Some(_)) if self.expected.contains_key("result_error") => {
                &exposed.batch_refused
            }
            (false, Some(_)) => &exposed.batch,
            (false, None) => &exposed.result,
        }
    }
}

/// Adds the fields that a client exposes together with the code of an error: the presence of a
/// description and, if the client can, the argument.
fn add_error_fields(error: &mut Map<String, Value>, exposed: &Exposed) {
    let argument = error.remove("argument");
    if error.contains_key("error") {
        error.insert("described".to_owned(), json!(true));
        let argument = argument.filter(|_| !exposed.unsupported.contains("show the argument"));
        error.extend(argument.map(|argument| ("argument".to_owned(), argument)));
    }
}

/// Compares two values. The expected value `"any"` matches any value except null.
fn matches(expected: &Value, observed: &Value) -> bool {
    match (expected, observed) {
        (Value::String(any), observed) if any == "any" => !observed.is_null(),
        (Value::Object(expected), Value::Object(observed)) => {
            expected.len() == observed.len()
                && expected.iter().all(|(name, value)| {
                    observed.get(name).is_some_and(|observed| matches(value, observed))
                })
        }
        (expected, observed) => expected == observed,
    }
}

fn merged(base: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    merged.extend(over.clone());
    merged
}

fn parse<T: for<'de> Deserialize<'de>>(fields: Map<String, Value>) -> T {
    serde_json::from_value(Value::Object(fields)).unwrap()
}
