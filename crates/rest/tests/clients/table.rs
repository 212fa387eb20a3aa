//! The table of calls and of what they lead to.

use std::collections::BTreeMap;
use std::fs;

use crm_chat_domain::{RemovalRecord, Snapshot};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clients;
use crate::driver::Lens;

/// How a caller says who it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    Webhook,
    /// OAuth.
    Token,
}

impl Scheme {
    /// The server's option that makes a credential known.
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
    /// The server's description of each credential that it knows, by the name of its caller.
    pub(crate) credentials: BTreeMap<Scheme, BTreeMap<String, String>>,
    /// What the records of all removals have in common.
    record: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What is different in the world.
    #[serde(default)]
    world: Map<String, Value>,
    /// The only scheme in which the case makes sense.
    auth: Option<Scheme>,
    /// The credentials presented, if not the actor's.
    #[serde(rename = "as")]
    caller: Option<String>,
    /// Whether the credentials are no good, so that the request as a whole is refused.
    #[serde(default)]
    rejected: bool,
    /// What not every client can do.
    needs: Option<String>,
    #[serde(default = "delete")]
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
    /// A batch instead of a call: of each command the id, and either the method or the parameters
    /// of the removal.
    commands: Option<Vec<(Value, Value)>>,
    #[serde(default)]
    halt: bool,
    sees: Map<String, Value>,
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

    /// The cases that a client can be put through.
    pub(crate) fn cases(&self, scheme: Scheme, lens: &Lens) -> Vec<&Case> {
        let fits = |case: &&Case| {
            case.auth.is_none_or(|auth| auth == scheme)
                && case.needs.as_ref().is_none_or(|need| !lens.cannot.contains(need))
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
    /// Who calls.
    pub(crate) fn caller(&self) -> &str {
        self.caller.as_deref().unwrap_or("actor")
    }

    /// The case as a driver reads it.
    pub(crate) fn call(&self, auth: &Value) -> Value {
        match &self.commands {
            None => json!({"auth": auth, "method": self.method, "params": self.params}),
            Some(commands) => {
                let commands: Vec<_> = commands.iter().map(command).collect();
                json!({"auth": auth, "halt": self.halt, "commands": commands})
            }
        }
    }

    /// Verifies that a client showed what it shows of the expected answer.
    pub(crate) fn verify(&self, lens: &Lens, saw: &Value) -> Result<(), String> {
        let expected = self.expected(lens);
        if fits(&expected, saw) { Ok(()) } else { Err(format!("saw {saw}, not {expected}")) }
    }

    fn expected(&self, lens: &Lens) -> Value {
        let mut sees = self.sees.clone();
        if self.commands.is_some() && !sees.contains_key("error") {
            let errors = sees.entry("result_error").or_insert_with(|| json!({}));
            for error in errors.as_object_mut().unwrap().values_mut() {
                show(error.as_object_mut().unwrap(), lens);
            }
        }
        let shown = self.shown(lens);
        sees.retain(|field, _| field == "argument" || shown.iter().any(|shown| shown == field));
        show(&mut sees, lens);
        Value::Object(sees)
    }

    fn shown<'a>(&self, lens: &'a Lens) -> &'a [String] {
        match (self.sees.contains_key("error"), &self.commands) {
            (true, _) if self.rejected => &lens.rejected,
            (true, _) => &lens.refused,
            (false, Some(_)) if self.sees.contains_key("result_error") => &lens.batch_refused,
            (false, Some(_)) => &lens.batch,
            (false, None) => &lens.result,
        }
    }
}

/// Whoever shows an error's code shows also that there is a description, and the argument if the
/// client can.
fn show(error: &mut Map<String, Value>, lens: &Lens) {
    let argument = error.remove("argument");
    if error.contains_key("error") {
        error.insert("described".to_owned(), json!(true));
        let argument = argument.filter(|_| !lens.cannot.contains("show the argument"));
        error.extend(argument.map(|argument| ("argument".to_owned(), argument)));
    }
}

/// Compares by value; what is expected as `"any"` is anything that is there.
fn fits(expected: &Value, saw: &Value) -> bool {
    match (expected, saw) {
        (Value::String(any), saw) if any == "any" => !saw.is_null(),
        (Value::Object(expected), Value::Object(saw)) => {
            expected.len() == saw.len()
                && expected
                    .iter()
                    .all(|(name, value)| saw.get(name).is_some_and(|saw| fits(value, saw)))
        }
        (expected, saw) => expected == saw,
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
