//! The examples, run as programs.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A running example, killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the command of an example that cargo built next to this test.
fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program: PathBuf =
        [profile.as_os_str(), "examples".as_ref(), name.as_ref()].iter().collect();
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    let hint = "`cargo build -p crm-chat-domain --examples` builds it";
    assert!(program.exists(), "{} does not exist\nhint: {hint}", program.display());
    Command::new(program)
}

#[test]
fn composed_prints_a_refusal_a_removal_and_a_failure() {
    let output = example("composed").output().unwrap();
    let expected = "\
refused: user 2 may not remove users from chat 8773 of deal:288
user 12 left: PassesTo(UserId(7))
failed: cannot ask the permission service: unavailable: channel closed
";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(output.status.success(), "{:?}", output.stderr);
}

/// Posts a body on behalf of a user, and returns the status and the body of the response.
fn post(address: &str, user: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /remove HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\n\
         X-User: {user}\r\nContent-Length: {length}\r\n\r\n{body}",
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.parse().unwrap())
}

#[test]
fn axum_service_answers_with_result_or_refusal() {
    let mut service = example("axum_service").stdout(Stdio::piped()).spawn().map(Running).unwrap();
    let mut line = String::new();
    let stdout = service.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap();

    let request =
        r#"{"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": "288", "USER_ID": 12, "CHAT_ID": 8773}"#;
    let no_entity = r#"{"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": -1, "USER_ID": 12}"#;
    let refused =
        |code: &str, description: &str| json!({"error": code, "error_description": description});
    let mut argument = refused(
        "ERROR_ARGUMENT",
        "`CRM_ENTITY` must be a whole number from 1 to 9223372036854775807",
    );
    argument["argument"] = json!("CRM_ENTITY");
    let no_access = refused("ACCESS_DENIED", "user 2 has no access to deal:288");
    let gone = refused("WRONG_REQUEST", "user 12 is not a member of chat 8773");
    for (user, body, status, answer) in [
        ("", request, 401, json!({"error": "NO_AUTH_FOUND"})),
        ("1", &request[1..], 400, json!({"error": "INVALID_REQUEST"})),
        ("1", "[]", 400, json!({"error": "INVALID_REQUEST"})),
        ("2", request, 403, no_access),
        ("1", no_entity, 400, argument),
        ("1", request, 200, json!({"result": 8773})),
        ("1", request, 400, gone),
    ] {
        assert_eq!(post(address, user, body), (status, answer), "{user}: {body}");
    }
}
