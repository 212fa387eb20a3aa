//! `serve`: start-up, options, signals and limits.

#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server_process::{HttpConnection, LOG_FILE, ServerProcess, issue_webhook, wait_for_log};
use crate::support::{Finished, TestDir, WORLD};

#[test]
fn printed_curl_line_works_and_a_signal_shuts_the_server_down() {
    for signal in ["-INT", "-TERM"] {
        let dir = TestDir::with_store(WORLD);
        let secret = issue_webhook(&dir, 1);
        let server = ServerProcess::start(&dir);
        let path = server.curl.split('\'').nth(1).and_then(|url| url.split_once("/rest/"));
        let path = path.unwrap_or_else(|| panic!("no address in {:?}", server.curl)).1;
        let path = format!("/rest/{path}").replace("USER", "1").replace("SECRET", &secret);
        let filled = server.curl.replace("=DEAL", "=288").replace("=MEMBER", "=7");
        let parameters = parameters(&filled);
        assert_eq!(parameters.len(), 3, "{}", server.curl);

        let mut connection = HttpConnection::open(&server.address).unwrap();
        let (status, answer) = connection.post(&path, &Value::from(parameters)).unwrap();
        assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
        assert_eq!(dir.removal_log().last().unwrap()["user"], 7);

        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        assert!(log.contains("code=\"OK\"") && log.contains("stopped"), "{log}");
        assert!(!log.contains(&secret), "{log}");
    }
}

/// Returns the parameters that a curl line passes by `-d`.
fn parameters(curl: &str) -> serde_json::Map<String, Value> {
    let pairs = curl.split(" -d ").skip(1);
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

#[test]
fn first_steps_of_the_readme_work_as_written() {
    let readme = fs::read_to_string("../../README.md").unwrap();
    let (_, steps) = readme.split_once("crm-chat import --sample\n").unwrap();
    let (steps, _) = steps.split_once("```").unwrap();
    let (_, curl) = steps.split_once("curl ").unwrap();
    let curl = curl.replace("\\\n", "");
    assert!(steps.contains("SECRET=$(crm-chat webhook add --user 1)\n"), "{steps}");
    assert!(steps.contains("\ncrm-chat serve &\n"), "{steps}");

    let dir = TestDir::empty();
    dir.run("import --sample").assert_success();
    let secret = issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    let path = curl.split('"').nth(1).unwrap().replace("$SECRET", &secret);
    let path = path.strip_prefix("http://127.0.0.1:8080").unwrap();
    let mut connection = HttpConnection::open(&server.address).unwrap();
    let (status, answer) = connection.post(path, &Value::from(parameters(&curl))).unwrap();
    assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
}

#[test]
fn server_that_cannot_start_reports_the_reason() {
    let dir = TestDir::empty();
    dir.run("serve --listen 127.0.0.1:0")
        .assert_status(3)
        .assert_stderr_has("hint: `crm-chat import FILE` creates a store");
    let dir = TestDir::with_store(WORLD);
    dir.run("serve --listen 127.0.0.1:0")
        .assert_status(3)
        .assert_stderr_has("`crm-chat webhook add` creates the file");
    issue_webhook(&dir, 1);
    dir.run("serve --listen 192.0.2.1:80")
        .assert_status(2)
        .assert_stderr_has("cannot listen on `192.0.2.1:80`");
    for address in ["localhost", "18171", ":80", "127.0.0.1:", "127.0.0.1:http"] {
        dir.run(&format!("serve --listen {address}"))
            .assert_status(2)
            .assert_stderr_has("expected HOST:PORT, such as `127.0.0.1:8080`");
    }
    dir.run("serve --tls-cert a.pem").assert_status(2).assert_stderr_has("--tls-key");
    dir.run("serve --tls-cert a.pem --tls-key b.pem")
        .assert_status(2)
        .assert_stderr_has("cannot read certificates from `a.pem`");
}

#[test]
fn curl_line_has_placeholders() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    let expected = format!(
        "curl 'http://{}/rest/USER/SECRET/imopenlines.crm.chat.user.delete' \
         -d CRM_ENTITY_TYPE=deal -d CRM_ENTITY=DEAL -d USER_ID=MEMBER\n",
        server.address
    );
    assert_eq!(server.curl, expected);
}

#[test]
fn closed_standard_output_is_reported_at_start() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut program = dir.command(["serve", "--listen", "127.0.0.1:0"]);
    let finished = Finished::from(program.stdout(writer).output().unwrap()).assert_status(2);
    finished.assert_stderr_has("error: cannot print the address: Broken pipe");
}

#[test]
fn hangup_signal_does_not_end_the_server() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    server.signal("-HUP");
    wait_for_log(&dir, "nothing to reload");
    let (status, _) = HttpConnection::open(&server.address).unwrap().get("/healthz").unwrap();
    assert_eq!(status, 200);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn hangup_signal_reloads_the_certificate() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let write_certificate = || {
        let names = vec!["localhost".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        dir.write("cert.pem", pair.cert.pem());
        dir.write("key.pem", pair.signing_key.serialize_pem());
    };
    write_certificate();
    let server = ServerProcess::with_options(&dir, "--tls-cert cert.pem --tls-key key.pem");
    assert!(server.curl.contains("'https://"), "{}", server.curl);

    dir.write("cert.pem", "not a certificate");
    server.signal("-HUP");
    let log = wait_for_log(&dir, "cannot reload the certificate");
    assert!(log.contains("ERROR") && log.contains("`cert.pem`"), "{log}");
    write_certificate();
    server.signal("-HUP");
    wait_for_log(&dir, "reloaded the certificate");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn plain_http_on_a_public_address_logs_a_warning() {
    const WARNING: &str = "secrets are sent in plain text over the network";
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    for (address, warned) in [("0.0.0.0:0", true), ("[::1]:0", false), ("127.0.0.1:0", false)] {
        let log = File::create(dir.path(LOG_FILE)).unwrap();
        let server = ServerProcess::spawn(dir.command(["serve", "--listen", address]), log);
        assert_eq!(server.stop().code(), Some(0));
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        assert_eq!(log.contains(WARNING), warned, "{address}: {log}");
    }
}

#[test]
fn store_that_other_users_can_read_logs_a_warning() {
    const WARNING: &str = "other users can read or lock the store";
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    for (mode, warned) in [(0o644, true), (0o660, true), (0o600, false)] {
        fs::set_permissions(dir.path("crm-chat.db"), Permissions::from_mode(mode)).unwrap();
        let server = ServerProcess::start(&dir);
        assert_eq!(server.stop().code(), Some(0));
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        assert_eq!(log.contains(WARNING), warned, "{mode:o}: {log}");
    }
}

#[test]
fn log_level_selects_the_logged_events() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    for (options, logged) in [
        ("", true),
        ("--log-level info", true),
        ("--log-level debug", true),
        ("--log-level warn", false),
        ("--log-level error", false),
    ] {
        let server = ServerProcess::with_options(&dir, options);
        let mut connection = HttpConnection::open(&server.address).unwrap();
        let path = format!("/rest/1/{secret}/server.time");
        assert_eq!(connection.post(&path, &json!({})).unwrap().0, 200);
        drop(connection);
        assert_eq!(server.stop().code(), Some(0));
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        assert_eq!(log.contains("server.time"), logged, "{options}: {log}");
    }
    dir.run("serve --log-level loud")
        .assert_status(2)
        .assert_stderr_has("error, warn, info, debug");
}

#[test]
fn forwarded_address_is_logged_only_if_it_is_trusted() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    for (options, expected) in [("", "127.0.0.1"), ("--trust-forwarded", "203.0.113.9")] {
        let server = ServerProcess::with_options(&dir, options);
        let request = format!(
            "GET /rest/1/{secret}/server.time HTTP/1.1\r\nhost: x\r\n\
             x-forwarded-for: 198.51.100.1, 203.0.113.9\r\n\r\n"
        );
        let mut connection = HttpConnection::open(&server.address).unwrap();
        assert_eq!(connection.exchange(&request).unwrap().0, 200);
        drop(connection);
        assert_eq!(server.stop().code(), Some(0));
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        assert!(log.contains(&format!("peer={expected}")), "{options}: {log}");
    }
}

#[test]
fn connections_from_one_address_are_limited() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let server = ServerProcess::with_options(&dir, "--max-connections-per-peer 2");
    let get = |connection: &mut HttpConnection| connection.get("/healthz").unwrap().0;
    let mut open = [(); 2].map(|()| HttpConnection::open(&server.address).unwrap());
    assert_eq!(open.each_mut().map(get), [200, 200]);
    let mut third = HttpConnection::open(&server.address).unwrap();
    assert_eq!(get(&mut third), 503);
    assert_eq!(open.each_mut().map(get), [200, 200]);
}

#[test]
fn draining_server_answers_but_is_not_ready() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let server = ServerProcess::with_options(&dir, "--drain 3");
    let mut connection = HttpConnection::open(&server.address).unwrap();
    assert_eq!(connection.get("/readyz").unwrap().0, 200);
    server.signal("-TERM");
    while connection.get("/readyz").unwrap().0 == 200 {
        thread::sleep(Duration::from_millis(5));
    }
    let path = format!("/rest/1/{secret}/server.time");
    assert_eq!(connection.post(&path, &json!({})).unwrap().0, 200);
    let mut other = HttpConnection::open(&server.address).unwrap();
    assert_eq!(other.get("/readyz").unwrap().0, 503);
    assert_eq!(server.wait().code(), Some(0));
}

/// Starts a server with a low soft limit on open files.
#[cfg(target_os = "linux")]
fn start_with_open_files(dir: &TestDir, soft: u32, hard: Option<u32>) -> ServerProcess {
    let log = File::create(dir.path(LOG_FILE)).unwrap();
    let hard = hard.map_or(String::new(), |hard| format!("ulimit -Hn {hard} && "));
    let script = format!("ulimit -Sn {soft} && {hard}exec \"$0\" serve --listen 127.0.0.1:0");
    let program = dir.command([]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program.get_program());
    shell.current_dir(dir.path("."));
    ServerProcess::spawn(shell, log)
}

#[cfg(target_os = "linux")]
#[test]
fn soft_limit_on_open_files_is_raised_to_the_hard_limit() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let server = start_with_open_files(&dir, 128, None);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limits: Vec<_> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_ne!(limits[0], "128");
    assert_eq!(limits[0], limits[1]);
}

#[cfg(target_os = "linux")]
#[test]
fn low_hard_limit_on_open_files_logs_a_warning() {
    let dir = TestDir::with_store(WORLD);
    issue_webhook(&dir, 1);
    let _serving = start_with_open_files(&dir, 200, Some(200));
    let log = wait_for_log(&dir, "the limit on open files allows fewer connections");
    assert!(log.contains("limit=200"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn connections_beyond_the_limit_on_open_files_are_refused_at_once() {
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let server = start_with_open_files(&dir, 200, Some(200));
    let mut kept = HttpConnection::open(&server.address).unwrap();
    let path = format!("/rest/1/{secret}/profile");
    assert_eq!(kept.post(&path, &json!({})).unwrap().0, 200);
    // 128 of 200 files are reserved.
    let mut silent: Vec<_> =
        (1..72).map(|_| HttpConnection::open(&server.address).unwrap()).collect();
    let mut refused = HttpConnection::open(&server.address).unwrap();
    let (status, answer) = refused.post(&path, &json!({})).unwrap();
    assert_eq!((status, &answer["error"]), (503, &json!("OVERLOAD_LIMIT")), "{answer}");
    assert_eq!(kept.post(&path, &json!({})).unwrap().0, 200);
    assert_eq!(silent.last_mut().unwrap().post(&path, &json!({})).unwrap().0, 200);
}

/// Returns the peak resident memory of a server, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak_memory(server: &ServerProcess) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() << 10
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_bounded_under_large_bodies() {
    const BODY: usize = (1 << 20) - 16;
    const SENDERS: usize = 16;
    let dir = TestDir::with_store(WORLD);
    let secret = issue_webhook(&dir, 1);
    let server = ServerProcess::start(&dir);
    let path = format!("/rest/1/{secret}/batch");
    let filled = |open: &str, item: &str, close: &str| {
        format!("{open}{}{close}", item.repeat(BODY / item.len() - 16))
    };
    let bodies = [
        filled("[", "1,", "1]"),
        filled("", "[", ""),
        filled("{\"cmd\":\"", "x", "\"}"),
        filled("{", "\"a\":{},", "\"a\":1}"),
        filled("{\"cmd\":[", "\"profile\",", "\"\"]}"),
        "1".repeat(2 * BODY),
    ];
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                for body in bodies.iter().chain(&bodies) {
                    // The server closes a connection whose body is too long.
                    let mut connection = HttpConnection::open(&server.address).unwrap();
                    let (status, answer) = connection.send(&path, body).unwrap();
                    assert!(matches!(status, 400 | 413), "{status}: {answer}");
                    assert_eq!(answer["error"], "INVALID_REQUEST", "{answer}");
                }
            });
        }
    });
    // Together the bodies are more than twice as large: each sender sends twelve, one at a time.
    let bound = SENDERS * 6 * BODY;
    assert!(peak_memory(&server) < bound, "{} bytes, more than {bound}", peak_memory(&server));
}
