//! cURL, called as in a shell script.

use std::path::PathBuf;
use std::process::Command;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::driver::{Driver, Exposed};
use crate::server::Server;

pub(crate) struct Curl {
    form: &'static str,
    address: String,
    authority: PathBuf,
    exposed: Exposed,
}

impl Curl {
    pub(crate) fn new(form: &'static str, server: &Server) -> Self {
        let exposed = json!({
            "refused": ["status", "error"],
            "rejected": ["status", "error"],
            "batch": ["result", "result_error"],
            "batch_refused": ["result", "result_error"],
            "unsupported": ["a start-up call"],
        });
        Self {
            form,
            address: server.address.clone(),
            authority: server.certificates.authority.clone(),
            exposed: serde_json::from_value(exposed).unwrap(),
        }
    }

    /// Builds the command line of a call.
    fn command(&self, call: &Value) -> Command {
        let auth = &call["auth"];
        let method = call["method"].as_str().unwrap_or("batch");
        let token = auth["token"].as_str().filter(|token| !token.is_empty());
        let mut fields = fields(call);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*"])
            .arg("--cacert")
            .arg(&self.authority)
            .args(["--write-out", "\n%{http_code} %{content_type}"]);
        match (token, self.form) {
            (Some(token), "bearer") => {
                curl.args(["--header", &format!("Authorization: Bearer {token}")]);
            }
            (Some(token), _) => fields.push(("auth".to_owned(), json!(token))),
            (None, _) => {}
        }
        let address = &self.address;
        let url = match auth["secret"].as_str() {
            Some(secret) => format!("{address}/rest/{}/{secret}/{method}", auth["user"]),
            None => format!("{address}/rest/{method}"),
        };
        self.send(&mut curl, &fields);
        curl.arg(url);
        curl
    }

    fn send(&self, curl: &mut Command, fields: &[(String, Value)]) {
        if self.form == "json" {
            curl.args(["--header", "Content-Type: application/json"]);
            curl.args(["--data", &object(fields)]);
            return;
        }
        let option = match self.form {
            "multipart" => "--form-string",
            _ => "--data-urlencode",
        };
        if self.form == "query" {
            curl.arg("--get");
        }
        for (name, value) in flat(fields) {
            curl.args([option, &format!("{name}={value}")]);
        }
    }
}

impl Driver for Curl {
    fn exposed(&self) -> &Exposed {
        &self.exposed
    }

    fn observe(&mut self, call: &Value) -> Value {
        let output = self.command(call).output().unwrap();
        let output_text = String::from_utf8(output.stdout).unwrap();
        let (body, meta) = output_text.rsplit_once('\n').unwrap();
        let (status, kind) = meta.split_once(' ').unwrap();
        assert_eq!(kind, "application/json; charset=utf-8", "{body}");
        let body: Value = serde_json::from_str(body).unwrap();
        let status: u16 = status.parse().unwrap();
        match (status, body.get("error"), &body["result"]) {
            (200, None, batch) if call.get("commands").is_some() => json!({
                "result": by_id(&batch["result"], Value::clone),
                "result_error": by_id(&batch["result_error"], refusal),
            }),
            (200, None, result) => json!({"result": result}),
            _ => {
                let mut observed = refusal(&body);
                observed["status"] = json!(status);
                observed
            }
        }
    }
}

/// Returns the parameters of a call. The commands of a batch are nested parameters.
fn fields(call: &Value) -> Vec<(String, Value)> {
    let Some(commands) = call["commands"].as_array() else {
        let params = call["params"].as_object().unwrap().clone();
        return params.into_iter().collect();
    };
    vec![
        ("halt".to_owned(), call["halt"].clone()),
        ("cmd".to_owned(), commands.iter().map(command).collect()),
    ]
}

/// Returns a command as a pair of its id and its text. A map would lose the order.
fn command(command: &Value) -> Value {
    let params = command[2].as_object().unwrap().iter();
    let query: Vec<_> = params
        .map(|(name, value)| {
            let value = text(value);
            format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
        })
        .collect();
    let method = command[1].as_str().unwrap();
    json!([command[0], format!("{method}?{}", query.join("&"))])
}

/// Writes the parameters as a JSON object that keeps the order of the commands.
fn object(fields: &[(String, Value)]) -> String {
    let members = fields.iter().map(|(name, value)| match value {
        Value::Array(commands) => format!("{}:{}", json!(name), nested(commands)),
        value => format!("{}:{value}", json!(name)),
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn nested(commands: &[Value]) -> String {
    if commands[0][0].is_null() {
        return Value::Array(commands.iter().map(|command| command[1].clone()).collect())
            .to_string();
    }
    let members = commands.iter().map(|command| format!("{}:{}", command[0], command[1]));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Flattens the parameters into pairs of text, with brackets for nested ones.
fn flat(fields: &[(String, Value)]) -> Vec<(String, String)> {
    let pairs = fields.iter().flat_map(|(name, value)| match value {
        Value::Array(commands) => commands
            .iter()
            .map(|command| (format!("{name}[{}]", text(&command[0])), text(&command[1])))
            .collect(),
        value => vec![(name.clone(), text(value))],
    });
    pairs.collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn refusal(error: &Value) -> Value {
    let described = error["error_description"].as_str().is_some_and(|text| !text.is_empty());
    let mut observed = json!({"error": error["error"], "described": described});
    if let Some(argument) = error.get("argument") {
        observed["argument"] = argument.clone();
    }
    observed
}

/// Converts a section of a batch's response, which may be a list, to a map.
fn by_id(section: &Value, show: impl Fn(&Value) -> Value) -> Value {
    match section {
        Value::Array(list) => {
            list.iter().enumerate().map(|(id, value)| (id.to_string(), show(value))).collect()
        }
        Value::Object(map) => map.iter().map(|(id, value)| (id.clone(), show(value))).collect(),
        other => panic!("a section of a batch is a map or a list, not {other}"),
    }
}
