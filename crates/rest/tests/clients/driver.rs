//! Drives a client: makes calls and observes the results.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::certificates::Certificates;

/// The timeout of a call, including the client's own retries.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The fields of a response that a client exposes to its caller, and the features that it lacks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exposed {
    #[serde(default = "result")]
    pub(crate) result: Vec<String>,
    /// For a call that is refused.
    pub(crate) refused: Vec<String>,
    /// For a call with invalid credentials.
    pub(crate) rejected: Vec<String>,
    /// For a batch without errors.
    pub(crate) batch: Vec<String>,
    /// For a batch with errors.
    pub(crate) batch_refused: Vec<String>,
    pub(crate) unsupported: BTreeSet<String>,
}

fn result() -> Vec<String> {
    vec!["result".to_owned()]
}

pub(crate) trait Driver {
    fn exposed(&self) -> &Exposed;

    /// Makes a call and returns what the client exposed of the response.
    fn observe(&mut self, call: &Value) -> Value;
}

/// A script in the client's language. `drivers/protocol.py` describes its input and output.
pub(crate) struct Process {
    child: Child,
    calls: ChildStdin,
    output: Receiver<String>,
    exposed: Exposed,
}

impl Process {
    pub(crate) fn start(mut command: Command, certificates: &Certificates) -> Self {
        let mut child = command
            .env("REQUESTS_CA_BUNDLE", &certificates.authority)
            .env("NODE_EXTRA_CA_CERTS", &certificates.authority)
            .envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let calls = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, output) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let exposed = next_line(&output);
        Self { child, calls, output, exposed }
    }
}

impl Driver for Process {
    fn exposed(&self) -> &Exposed {
        &self.exposed
    }

    fn observe(&mut self, call: &Value) -> Value {
        writeln!(self.calls, "{call}").unwrap();
        next_line(&self.output)
    }
}

fn next_line<T: DeserializeOwned>(output: &Receiver<String>) -> T {
    let line = output.recv_timeout(CALL_TIMEOUT);
    let line = line.expect("the driver produces no output: its errors are printed above");
    serde_json::from_str(&line).unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
