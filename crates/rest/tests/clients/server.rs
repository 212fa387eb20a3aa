//! The server, a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::certificates::Certificates;
use crate::table::{Credential, Scheme};
use crate::world::World;

pub(crate) struct Server {
    child: Child,
    /// Where it listens, as `http://127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) certificates: Certificates,
}

impl Server {
    pub(crate) fn start(
        folder: &Path,
        certificates: Certificates,
        tls: bool,
        credentials: &BTreeMap<Scheme, BTreeMap<String, Credential>>,
    ) -> Self {
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0"]);
        command.arg("--store").arg(folder.join(World::FILE));
        if tls {
            command.arg("--tls-cert").arg(&certificates.certificate);
            command.arg("--tls-key").arg(&certificates.key);
        }
        for credential in credentials.values().flat_map(BTreeMap::values) {
            command.args(credential.argument().into_iter().flatten());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next().expect("the server says where it listens").unwrap();
        Self {
            child,
            address,
            certificates,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the example server, which lies beside the folder of this test's binary.
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
