//! The clients that people already use, unmodified, against a server process on a SQLite file.
//!
//! `cases.json` says what leads to what; a driver in `drivers` makes one client's calls, and tells
//! what of an answer that client shows its caller. `install` fetches the packages, pinned in
//! `packages`. Where it cannot, a test says so: it fails if `CI` is `true`, and is skipped
//! otherwise.

mod certificates;
mod curl;
mod driver;
mod install;
mod server;
mod table;
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Certificates;
use crate::curl::Curl;
use crate::driver::{Driver, Process};
use crate::server::Server;
use crate::table::{Scheme, Table};
use crate::world::World;

/// A way in which a client is told whom and where to call.
struct Form {
    name: &'static str,
    scheme: Scheme,
    tls: bool,
}

const fn form(name: &'static str, scheme: Scheme) -> Form {
    Form { name, scheme, tls: false }
}

impl Form {
    const fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }
}

#[test]
fn curl() {
    let forms = [
        form("form", Scheme::Webhook),
        form("json", Scheme::Webhook),
        form("multipart", Scheme::Webhook),
        form("query", Scheme::Webhook),
        form("json", Scheme::Webhook).over_tls(),
        form("form", Scheme::Token),
        form("json", Scheme::Token),
        form("query", Scheme::Token),
        form("bearer", Scheme::Token),
    ];
    check("curl", &forms, |_, form, server| Box::new(Curl::new(form.name, server)));
}

#[test]
fn fast_bitrix24() {
    let forms = [
        form("call", Scheme::Webhook),
        form("raw", Scheme::Webhook),
        form("call", Scheme::Token),
        form("raw", Scheme::Token),
    ];
    check_python("run_fast_bitrix24.py", &forms);
}

#[test]
fn bitrix24_rest() {
    check_python("run_bitrix24_rest.py", &[form("get", Scheme::Webhook)]);
}

#[test]
fn b24pysdk() {
    let forms = [form("sdk", Scheme::Webhook).over_tls(), form("sdk", Scheme::Token).over_tls()];
    check_python("run_b24pysdk.py", &forms);
}

#[test]
fn b24jssdk() {
    let forms = [
        form("sdk", Scheme::Webhook).over_tls(),
        form("sdk", Scheme::Token),
        form("sdk", Scheme::Token).over_tls(),
    ];
    check_process("node", "run_b24jssdk.mjs", &forms, |_| "node".into());
}

#[test]
fn crest() {
    let forms =
        [form("post", Scheme::Webhook), form("get", Scheme::Webhook), form("post", Scheme::Token)];
    check_process("php", "run_crest.php", &forms, |_| "php".into());
}

fn check_python(script: &str, forms: &[Form]) {
    check_process("python", script, forms, |packages| packages.join("venv/bin/python"));
}

fn check_process(kind: &str, script: &str, forms: &[Form], interpreter: impl Fn(&Path) -> PathBuf) {
    check(kind, forms, |packages, form, server| {
        let mut command = Command::new(interpreter(packages));
        command
            .arg(clients().join("drivers").join(script))
            .args([form.name, &server.address])
            .env("PACKAGES", packages);
        Box::new(Process::start(command, &server.certificates))
    });
}

/// Runs the table in each form of a client, on a server and a store of its own.
fn check(kind: &str, forms: &[Form], connect: impl Fn(&Path, &Form, &Server) -> Box<dyn Driver>) {
    let Some(packages) = install::packages(kind) else {
        return;
    };
    let table = Table::read();
    let mut failures = Vec::new();
    for form in forms {
        let folder = tempfile::tempdir().unwrap();
        let world = World::create(folder.path());
        let certificates = Certificates::create(folder.path());
        let server = Server::start(folder.path(), certificates, form.tls, &table);
        let mut driver = connect(&packages, form, &server);
        for case in table.cases(form.scheme, driver.lens()) {
            let before = world.load(&table.world(case));
            let saw = driver.see(&case.call(&server.auth(form.scheme, case.caller())));
            let told = case
                .verify(driver.lens(), &saw)
                .and_then(|()| world.verify(before, &table.removals(case)));
            if let Err(wrong) = told {
                let (scheme, form) = (form.scheme, form.name);
                failures.push(format!("{scheme:?} by {form}: {}: {wrong}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The folder of this test.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
