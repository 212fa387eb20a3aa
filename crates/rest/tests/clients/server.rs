//! The server under test, in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::table::{Scheme, Table};
use crate::world::World;

pub(crate) struct Server {
    child: Child,
    /// The base address, such as `http://127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) certificates: Certificates,
    /// The users and secrets of the callers with valid credentials.
    credentials: BTreeMap<(Scheme, String), (u64, String)>,
}

impl Server {
    pub(crate) fn start(
        directory: &Path,
        certificates: Certificates,
        tls: bool,
        table: &Table,
    ) -> Self {
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0"]);
        command.arg("--store").arg(directory.join(World::FILE));
        if tls {
            command.arg("--tls-cert").arg(&certificates.certificate);
            command.arg("--tls-key").arg(&certificates.key);
        }
        for (scheme, callers) in &table.credentials {
            let options = callers.values().flat_map(|who| [scheme.option(), who]);
            command.args(options);
        }
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("the server started").unwrap();
        let address = line().trim_start_matches("listening on ").to_owned();
        let mut credentials = BTreeMap::new();
        for (&scheme, callers) in &table.credentials {
            for caller in callers.keys() {
                credentials.insert((scheme, caller.clone()), issued(&line()));
            }
        }
        Self { child, address, certificates, credentials }
    }

    /// Returns the credentials of a caller. The caller `anonymous` has none, and any other caller
    /// without valid credentials presents a guess.
    pub(crate) fn auth(&self, scheme: Scheme, caller: &str) -> Value {
        let known = self.credentials.get(&(scheme, caller.to_owned()));
        let guess = if caller == "anonymous" { "" } else { "open-sesame" };
        let (user, secret) = known.map_or((1, guess), |(user, secret)| (*user, secret));
        match scheme {
            Scheme::Webhook => json!({"user": user, "secret": secret}),
            Scheme::Token => json!({"token": secret}),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Parses a line such as `webhook USER SECRET`.
fn issued(line: &str) -> (u64, String) {
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().unwrap().to_owned();
    (word().parse().unwrap(), word())
}

/// Builds the example server. Cargo places it next to the directory of this test's binary.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "crm-chat-rest"])
            .args(["--example", "serve"])
            .status();
        assert!(built.unwrap().success());
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("examples/serve")
    })
}
