//! Runs existing client libraries, unmodified, against a server process on a SQLite file.
//!
//! `cases.json` lists calls with their expected results. Each driver in `drivers` makes calls with
//! one client and reports what that client exposes of a response. `install` fetches the packages,
//! which are pinned in `packages`. If that fails, the tests fail if `CI` is `true`, and are skipped
//! with a message otherwise.

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

/// A variant of a client's configuration: the form of its requests, its credentials and TLS.
struct Variant {
    name: &'static str,
    scheme: Scheme,
    tls: bool,
}

const fn variant(name: &'static str, scheme: Scheme) -> Variant {
    Variant { name, scheme, tls: false }
}

impl Variant {
    const fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }
}

#[test]
fn curl() {
    let variants = [
        variant("form", Scheme::Webhook),
        variant("json", Scheme::Webhook),
        variant("multipart", Scheme::Webhook),
        variant("query", Scheme::Webhook),
        variant("json", Scheme::Webhook).over_tls(),
        variant("form", Scheme::Token),
        variant("json", Scheme::Token),
        variant("query", Scheme::Token),
        variant("bearer", Scheme::Token),
    ];
    check("curl", &variants, |_, variant, server| Box::new(Curl::new(variant.name, server)));
}

#[test]
fn fast_bitrix24() {
    let variants = [
        variant("call", Scheme::Webhook),
        variant("raw", Scheme::Webhook),
        variant("call", Scheme::Token),
        variant("raw", Scheme::Token),
    ];
    check_python("run_fast_bitrix24.py", &variants);
}

#[test]
fn bitrix24_rest() {
    check_python("run_bitrix24_rest.py", &[variant("get", Scheme::Webhook)]);
}

#[test]
fn b24pysdk() {
    let variants =
        [variant("sdk", Scheme::Webhook).over_tls(), variant("sdk", Scheme::Token).over_tls()];
    check_python("run_b24pysdk.py", &variants);
}

#[test]
fn b24jssdk() {
    let variants = [
        variant("sdk", Scheme::Webhook).over_tls(),
        variant("sdk", Scheme::Token),
        variant("sdk", Scheme::Token).over_tls(),
    ];
    check_process("node", "run_b24jssdk.mjs", &variants, |_| "node".into());
}

#[test]
fn crest() {
    let variants = [
        variant("post", Scheme::Webhook),
        variant("get", Scheme::Webhook),
        variant("post", Scheme::Token),
    ];
    check_process("php", "run_crest.php", &variants, |_| "php".into());
}

fn check_python(script: &str, variants: &[Variant]) {
    check_process("python", script, variants, |packages| packages.join("venv/bin/python"));
}

fn check_process(
    kind: &str,
    script: &str,
    variants: &[Variant],
    interpreter: impl Fn(&Path) -> PathBuf,
) {
    check(kind, variants, |packages, variant, server| {
        let mut command = Command::new(interpreter(packages));
        command
            .arg(clients().join("drivers").join(script))
            .args([variant.name, &server.address])
            .env("PACKAGES", packages);
        Box::new(Process::start(command, &server.certificates))
    });
}

/// Runs all cases with each variant of a client, each on its own server and store.
fn check(
    kind: &str,
    variants: &[Variant],
    connect: impl Fn(&Path, &Variant, &Server) -> Box<dyn Driver>,
) {
    let Some(packages) = install::packages(kind) else {
        return;
    };
    let table = Table::read();
    let mut failures = Vec::new();
    for variant in variants {
        let directory = tempfile::tempdir().unwrap();
        let world = World::create(directory.path());
        let certificates = Certificates::create(directory.path());
        let server = Server::start(directory.path(), certificates, variant.tls, &table);
        let mut driver = connect(&packages, variant, &server);
        for case in table.cases(variant.scheme, driver.exposed()) {
            let before = world.load(&table.world(case));
            let observed = driver.observe(&case.call(&server.auth(variant.scheme, case.caller())));
            let verified = case
                .verify(driver.exposed(), &observed)
                .and_then(|()| world.verify(before, &table.removals(case)));
            if let Err(difference) = verified {
                let Variant { name, scheme, .. } = variant;
                failures.push(format!("{scheme:?} by {name}: {}: {difference}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the directory of this test.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
