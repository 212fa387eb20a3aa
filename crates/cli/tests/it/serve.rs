//! `serve`: the program as a server.

#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Ran, WORLD};
use crate::serving::{Connection, LOG, Serving, logged, secret};

#[test]
fn the_curl_line_works_once_it_is_filled_in_and_a_signal_ends_the_server_well() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::holding(WORLD);
        let secret = secret(&place, 1);
        let serving = Serving::in_place(&place);
        let path = serving.curl.split('\'').nth(1).and_then(|url| url.split_once("/rest/"));
        let path = path.unwrap_or_else(|| panic!("no address in {:?}", serving.curl)).1;
        let path = format!("/rest/{path}").replace("USER", "1").replace("SECRET", &secret);
        let filled = serving.curl.replace("=DEAL", "=288").replace("=MEMBER", "=7");
        let parameters = parameters(&filled);
        assert_eq!(parameters.len(), 3, "{}", serving.curl);

        let mut connection = Connection::open(&serving.address).unwrap();
        let (status, answer) = connection.post(&path, &Value::from(parameters)).unwrap();
        assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
        assert_eq!(place.log().last().unwrap()["user"], 7);

        serving.signal(signal);
        assert_eq!(serving.wait().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
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

    let place = Place::empty();
    place.run("import --sample").succeeded();
    let secret = secret(&place, 1);
    let serving = Serving::in_place(&place);
    let path = curl.split('"').nth(1).unwrap().replace("$SECRET", &secret);
    let path = path.strip_prefix("http://127.0.0.1:8080").unwrap();
    let mut connection = Connection::open(&serving.address).unwrap();
    let (status, answer) = connection.post(path, &Value::from(parameters(&curl))).unwrap();
    assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let place = Place::empty();
    place
        .run("serve --listen 127.0.0.1:0")
        .ended(3)
        .said("hint: `crm-chat import FILE` creates a store");
    let place = Place::holding(WORLD);
    place
        .run("serve --listen 127.0.0.1:0")
        .ended(3)
        .said("`crm-chat webhook add` creates the file");
    secret(&place, 1);
    place.run("serve --listen 192.0.2.1:80").ended(2).said("cannot listen at `192.0.2.1:80`");
    for address in ["nowhere", "18171", ":80", "127.0.0.1:", "127.0.0.1:http"] {
        place
            .run(&format!("serve --listen {address}"))
            .ended(2)
            .said("an address is HOST:PORT, such as `127.0.0.1:8080`");
    }
    place.run("serve --tls-cert a.pem").ended(2).said("--tls-key");
    place
        .run("serve --tls-cert a.pem --tls-key b.pem")
        .ended(2)
        .said("cannot read certificates from `a.pem`");
}

#[test]
fn curl_line_names_what_to_fill_in() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let serving = Serving::in_place(&place);
    let expected = format!(
        "curl 'http://{}/rest/USER/SECRET/imopenlines.crm.chat.user.delete' \
         -d CRM_ENTITY_TYPE=deal -d CRM_ENTITY=DEAL -d USER_ID=MEMBER\n",
        serving.address
    );
    assert_eq!(serving.curl, expected);
}

#[test]
fn closed_standard_output_is_reported_at_start() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut program = place.program(["serve", "--listen", "127.0.0.1:0"]);
    let ran = Ran::from(program.stdout(writer).output().unwrap()).ended(2);
    ran.said("error: cannot print the address: Broken pipe");
}

#[test]
fn hangup_does_not_end_the_server() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let serving = Serving::in_place(&place);
    serving.signal("-HUP");
    logged(&place, "nothing to reload");
    let (status, _) = Connection::open(&serving.address).unwrap().get("/healthz").unwrap();
    assert_eq!(status, 200);
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn hangup_reloads_the_certificate() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let certify = || {
        let names = vec!["localhost".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        place.write("cert.pem", pair.cert.pem());
        place.write("key.pem", pair.signing_key.serialize_pem());
    };
    certify();
    let serving = Serving::with(&place, "--tls-cert cert.pem --tls-key key.pem");
    assert!(serving.curl.contains("'https://"), "{}", serving.curl);

    place.write("cert.pem", "no certificate");
    serving.signal("-HUP");
    let log = logged(&place, "cannot reload the certificate");
    assert!(log.contains("ERROR") && log.contains("`cert.pem`"), "{log}");
    certify();
    serving.signal("-HUP");
    logged(&place, "reloaded the certificate");
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn plain_http_on_a_public_address_is_warned_about() {
    const WARNING: &str = "secrets are sent in plain text over the network";
    let place = Place::holding(WORLD);
    secret(&place, 1);
    for (address, warned) in [("0.0.0.0:0", true), ("[::1]:0", false), ("127.0.0.1:0", false)] {
        let log = File::create(place.path(LOG)).unwrap();
        let serving = Serving::start(place.program(["serve", "--listen", address]), log);
        assert_eq!(serving.stop().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
        assert_eq!(log.contains(WARNING), warned, "{address}: {log}");
    }
}

#[test]
fn store_that_other_users_can_read_is_warned_about() {
    const WARNING: &str = "other users can read or lock the store";
    let place = Place::holding(WORLD);
    secret(&place, 1);
    for (mode, warned) in [(0o644, true), (0o660, true), (0o600, false)] {
        fs::set_permissions(place.path("crm-chat.db"), Permissions::from_mode(mode)).unwrap();
        let serving = Serving::in_place(&place);
        assert_eq!(serving.stop().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
        assert_eq!(log.contains(WARNING), warned, "{mode:o}: {log}");
    }
}

#[test]
fn log_level_decides_what_is_logged() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    for (options, logged) in [
        ("", true),
        ("--log-level info", true),
        ("--log-level debug", true),
        ("--log-level warn", false),
        ("--log-level error", false),
    ] {
        let serving = Serving::with(&place, options);
        let mut connection = Connection::open(&serving.address).unwrap();
        let path = format!("/rest/1/{secret}/server.time");
        assert_eq!(connection.post(&path, &json!({})).unwrap().0, 200);
        drop(connection);
        assert_eq!(serving.stop().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
        assert_eq!(log.contains("server.time"), logged, "{options}: {log}");
    }
    place.run("serve --log-level loud").ended(2).said("error, warn, info, debug");
}

#[test]
fn forwarded_address_is_logged_only_if_it_is_trusted() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    for (options, expected) in [("", "127.0.0.1"), ("--trust-forwarded", "203.0.113.9")] {
        let serving = Serving::with(&place, options);
        let request = format!(
            "GET /rest/1/{secret}/server.time HTTP/1.1\r\nhost: x\r\n\
             x-forwarded-for: 198.51.100.1, 203.0.113.9\r\n\r\n"
        );
        let mut connection = Connection::open(&serving.address).unwrap();
        assert_eq!(connection.exchange(&request).unwrap().0, 200);
        drop(connection);
        assert_eq!(serving.stop().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
        assert!(log.contains(&format!("peer={expected}")), "{options}: {log}");
    }
}

#[test]
fn connections_of_one_address_are_limited_as_asked() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let serving = Serving::with(&place, "--max-connections-per-peer 2");
    let get = |connection: &mut Connection| connection.get("/healthz").unwrap().0;
    let mut kept = [(); 2].map(|()| Connection::open(&serving.address).unwrap());
    assert_eq!(kept.each_mut().map(get), [200, 200]);
    let mut third = Connection::open(&serving.address).unwrap();
    assert_eq!(get(&mut third), 503);
    assert_eq!(kept.each_mut().map(get), [200, 200]);
}

#[test]
fn draining_server_serves_but_is_not_ready() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let serving = Serving::with(&place, "--drain 3");
    let mut connection = Connection::open(&serving.address).unwrap();
    assert_eq!(connection.get("/readyz").unwrap().0, 200);
    serving.signal("-TERM");
    while connection.get("/readyz").unwrap().0 == 200 {
        thread::sleep(Duration::from_millis(5));
    }
    let path = format!("/rest/1/{secret}/server.time");
    assert_eq!(connection.post(&path, &json!({})).unwrap().0, 200);
    let mut other = Connection::open(&serving.address).unwrap();
    assert_eq!(other.get("/readyz").unwrap().0, 503);
    assert_eq!(serving.wait().code(), Some(0));
}

/// Starts a server whose soft limit of open files is low.
#[cfg(target_os = "linux")]
fn with_open_files(place: &Place, soft: u32, hard: Option<u32>) -> Serving {
    let log = File::create(place.path(LOG)).unwrap();
    let hard = hard.map_or(String::new(), |hard| format!("ulimit -Hn {hard} && "));
    let script = format!("ulimit -Sn {soft} && {hard}exec \"$0\" serve --listen 127.0.0.1:0");
    let program = place.program([]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program.get_program());
    shell.current_dir(place.path("."));
    Serving::start(shell, log)
}

#[cfg(target_os = "linux")]
#[test]
fn soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let serving = with_open_files(&place, 128, None);
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limits: Vec<_> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_ne!(limits[0], "128");
    assert_eq!(limits[0], limits[1]);
}

#[cfg(target_os = "linux")]
#[test]
fn low_hard_limit_of_open_files_is_warned_about() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    let _serving = with_open_files(&place, 200, Some(200));
    let log = logged(&place, "the limit of open files allows fewer connections");
    assert!(log.contains("limit=200"), "{log}");
}

/// The most memory that a server has had, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak(serving: &Serving) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() << 10
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_bounded_whatever_is_sent() {
    const BODY: usize = (1 << 20) - 16;
    const SENDERS: usize = 16;
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let serving = Serving::in_place(&place);
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
                    // One for each: what is too long ends the connection.
                    let mut connection = Connection::open(&serving.address).unwrap();
                    let (status, answer) = connection.send(&path, body).unwrap();
                    assert!(matches!(status, 400 | 413), "{status}: {answer}");
                    assert_eq!(answer["error"], "INVALID_REQUEST", "{answer}");
                }
            });
        }
    });
    // All that was sent is twelve times as much as what each sender may have there at a time.
    let bound = SENDERS * 6 * BODY;
    assert!(peak(&serving) < bound, "{} bytes, more than {bound}", peak(&serving));
}
