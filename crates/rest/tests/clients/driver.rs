//! Makes a client's calls.

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

/// How long a client may take, its own retries included.
const PATIENCE: Duration = Duration::from_mins(1);

/// What of an answer a client shows its caller, and what it cannot do at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lens {
    #[serde(default = "result")]
    pub(crate) result: Vec<String>,
    /// Of a call that was refused.
    pub(crate) refused: Vec<String>,
    /// Of a call whose credentials are no good.
    pub(crate) rejected: Vec<String>,
    /// Of a batch in which all went well.
    pub(crate) batch: Vec<String>,
    /// Of a batch with errors.
    pub(crate) batch_refused: Vec<String>,
    pub(crate) cannot: BTreeSet<String>,
}

fn result() -> Vec<String> {
    vec!["result".to_owned()]
}

pub(crate) trait Driver {
    fn lens(&self) -> &Lens;

    /// Makes a call and returns what the client showed of the answer.
    fn see(&mut self, call: &Value) -> Value;
}

/// A script in the client's language: a line in for each call, a line out for what was seen, first
/// of all its lens.
pub(crate) struct Process {
    child: Child,
    calls: ChildStdin,
    told: Receiver<String>,
    lens: Lens,
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
        let (tell, told) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let lens = line(&told);
        Self { child, calls, told, lens }
    }
}

impl Driver for Process {
    fn lens(&self) -> &Lens {
        &self.lens
    }

    fn see(&mut self, call: &Value) -> Value {
        writeln!(self.calls, "{call}").unwrap();
        line(&self.told)
    }
}

fn line<T: DeserializeOwned>(told: &Receiver<String>) -> T {
    let line = told.recv_timeout(PATIENCE);
    let line = line.expect("the driver fell silent; what it said is above");
    serde_json::from_str(&line).unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
