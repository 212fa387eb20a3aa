//! `apply`: values, lines, chunks and failures.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Finished, TestDir, WORLD};

const REMOVE_12: &str =
    r#"{"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 12}"#;

/// Returns a request like [`REMOVE_12`] in which one key has another value.
fn with(key: &str, value: &str) -> String {
    let request = REMOVE_12.replace(", \"USER_ID\": 12", "");
    let user = if key == "USER_ID" { "" } else { ", \"USER_ID\": 12" };
    // If a key occurs twice, the last one wins.
    request.replace('}', &format!("{user}, \"{key}\": {value}}}"))
}

/// Returns the chat of an answer, or its error code.
fn result_or_code(answer: &Value) -> Value {
    answer.get("result").or(answer.get("error")).unwrap().clone()
}

#[track_caller]
fn assert_answers(finished: &Finished, expected: &[Value]) {
    let actual: Vec<Value> = finished.json_lines().iter().map(result_or_code).collect();
    assert_eq!(actual, expected, "{finished:?}");
}

#[test]
fn values_of_every_kind_are_answered_by_the_rules() {
    let absent = [r#""""#, r#""0""#, "null", "0", "0.0", "-0", "0e5", "false", "[]", "{}"];
    let invalid_ids = [
        r#""00""#,
        r#"" ""#,
        r#""false""#,
        r#""-5""#,
        r#""+5""#,
        r#""12.0""#,
        r#""1e1""#,
        r#""0x1""#,
        r#""12abc""#,
        r#""1 2""#,
        r#""\u0661""#,
        r#""\u00a012""#,
        r#""\u000b12""#,
        r#""9223372036854775808""#,
        "-12",
        "12.0",
        "12.5",
        "1e1",
        "1e400",
        "9223372036854775808",
        "123456789012345678901234567890",
        "true",
        "[12]",
        r#"{"a": 1}"#,
    ];
    let spellings_of_12 = [r#""12""#, r#""0012""#, r#"" \t\r\n12 ""#, "12"];
    let assert_answer = |key: &str, values: &[&str], expected: &Value| {
        let dir = TestDir::with_store(WORLD);
        for value in values {
            let finished = dir.run_with_stdin("apply", with(key, value)).assert_success();
            assert_eq!(result_or_code(&finished.json_lines()[0]), *expected, "{key}: {value}");
        }
    };
    for values in [&absent[..], &invalid_ids] {
        assert_answer("USER_ID", values, &json!("CRM_CHAT_EMPTY_USER"));
        assert_answer("actor", values, &json!("INVALID_REQUEST"));
    }
    assert_answer("CRM_ENTITY", &absent, &json!("CRM_CHAT_EMPTY_CRM_DATA"));
    assert_answer("CRM_ENTITY", &invalid_ids, &json!("ERROR_ARGUMENT"));
    assert_answer("CRM_ENTITY_TYPE", &absent, &json!("CRM_CHAT_EMPTY_CRM_DATA"));
    assert_answer(
        "CRM_ENTITY_TYPE",
        &[r#""Lead ""#, r#""firm""#, "1", "true", "[1]"],
        &json!("ACCESS_DENIED"),
    );
    assert_answer("CHAT_ID", &invalid_ids, &json!("ERROR_ARGUMENT"));
    assert_answer(
        "if_absent",
        &[r#""Accept""#, r#""no""#, "true", "1", "[1]", r#""""#],
        &json!("INVALID_REQUEST"),
    );
    for value in absent {
        assert_answer("CHAT_ID", &[value], &json!(8773));
    }
    for value in spellings_of_12 {
        assert_answer("USER_ID", &[value], &json!(8773));
        assert_answer("CHAT_ID", &[value], &json!("CHAT_NOT_IN_CRM"));
    }
}

#[test]
fn lines_are_answered_in_order_and_an_invalid_one_does_not_stop_the_rest() {
    let dir = TestDir::with_store(WORLD);
    let mut lines = Vec::new();
    for line in [
        b"  \t" as &[u8],
        REMOVE_12.as_bytes(),
        b"",
        b"[]",
        b"\xff",
        b"{\"actor\": 1",
        b"{\"actor\": 1} {}",
        b"{\"actor\": \"\xff\"}",
        with("if_absent", "\"accept\"").as_bytes(),
        format!("{REMOVE_12}\r").as_bytes(),
        with("CHAT_ID", "\"x\"").as_bytes(),
    ] {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    // The last line ends without a newline.
    lines.extend_from_slice(with("USER_ID", "15").as_bytes());
    dir.write("requests", &lines);

    let finished = dir.run("apply requests").assert_success();
    assert_eq!(finished.stderr, "");
    let invalid = json!("INVALID_REQUEST");
    let mut expected = vec![json!(8773)];
    expected.extend(std::iter::repeat_n(invalid, 5));
    expected.extend([json!(8773), json!("WRONG_REQUEST"), json!("ERROR_ARGUMENT"), json!(8773)]);
    assert_answers(&finished, &expected);
    for (answer, number) in finished.json_lines()[1..6].iter().zip(4..) {
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("line {number}: ")), "{description}");
    }
    assert_eq!(finished.json_lines()[8]["argument"], "CHAT_ID");
    assert_eq!(dir.removal_log().len(), 2);
}

#[test]
fn line_that_is_too_long_is_one_invalid_line() {
    let dir = TestDir::with_store(WORLD);
    let padded = |length: usize| {
        format!("{}{}", with("CHAT_ID", "8773"), " ".repeat(length - with("CHAT_ID", "8773").len()))
    };
    let (fits, too_long) = (padded(64 * 1024), padded(64 * 1024 + 1));
    let endless = format!("{{\"actor\": \"{}", "1".repeat(5_000_000));
    let lines = [&fits, &too_long, REMOVE_12, &endless, REMOVE_12, &too_long].join("\n");
    let finished = dir.run_with_stdin("apply", lines).assert_success();
    let (invalid, wrong) = (json!("INVALID_REQUEST"), json!("WRONG_REQUEST"));
    assert_answers(
        &finished,
        &[json!(8773), invalid.clone(), wrong.clone(), invalid.clone(), wrong, invalid],
    );
    assert!(
        finished.json_lines()[3]["error_description"]
            .as_str()
            .unwrap()
            .starts_with("line 4: longer than")
    );
}

/// Returns a document in which user 1 may remove users 2 to `members` + 1 from chat 1 of `deal:1`.
pub(crate) fn chat_with_members(members: u64) -> String {
    let users: Vec<u64> = (2..members + 2).collect();
    let known: Vec<Value> = users.iter().map(|id| json!({"id": id, "active": true})).collect();
    let deal = json!({"type": "deal", "id": 1});
    json!({
        "users": known,
        "chats": [{"id": 1, "members": users}],
        "links": [{"entity": deal, "chat": 1}],
        "access": [{"user": 1, "entity": deal}],
        "removers": [{"user": 1, "chat": 1}],
    })
    .to_string()
}

/// Returns a request to remove a user from the chat of [`chat_with_members`].
pub(crate) fn request_to_remove(user: u64) -> String {
    format!(
        "{{\"actor\": 1, \"CRM_ENTITY_TYPE\": \"deal\", \"CRM_ENTITY\": 1, \"USER_ID\": {user}}}\n"
    )
}

#[test]
fn many_lines_are_all_answered_in_order() {
    let dir = TestDir::with_store(&chat_with_members(3000));
    // Each user twice, far enough apart to be in different chunks, and an invalid line after every
    // other request.
    let users = || (2..3002).chain(2..3002);
    let lines: String = users()
        .map(|user| {
            if user % 2 == 0 {
                format!("{}!\n", request_to_remove(user))
            } else {
                request_to_remove(user)
            }
        })
        .collect();
    let finished = dir.run_with_stdin("apply", lines).assert_success();
    let mut expected = Vec::new();
    for (index, user) in users().enumerate() {
        expected.push(if index < 3000 { json!(1) } else { json!("WRONG_REQUEST") });
        if user % 2 == 0 {
            expected.push(json!("INVALID_REQUEST"));
        }
    }
    assert_answers(&finished, &expected);
    let removed: Vec<u64> =
        dir.removal_log().iter().map(|record| record["user"].as_u64().unwrap()).collect();
    assert_eq!(removed, (2..3002).collect::<Vec<_>>());
}

/// A running `apply`, to which lines are written one by one.
pub(crate) struct ApplyProcess {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl ApplyProcess {
    pub(crate) fn start(dir: &TestDir) -> Self {
        let mut child = dir.spawn("apply");
        let (stdin, answers) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(answers).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, stdin, answers: receiver }
    }

    /// Returns the next answer, or `None` at the end. Panics if no answer arrives for a long time.
    pub(crate) fn answer(&mut self) -> Option<Value> {
        match self.answers.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => Some(result_or_code(&serde_json::from_str(&line).unwrap())),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no answer arrives while the input is open"),
        }
    }

    fn exchange(&mut self, line: &str) -> Value {
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        self.answer().unwrap()
    }
}

#[test]
fn answers_arrive_while_the_input_is_open_and_others_can_write_meanwhile() {
    let dir = TestDir::with_store(&chat_with_members(10));
    let mut apply = ApplyProcess::start(&dir);
    assert_eq!(apply.exchange(&request_to_remove(2)), json!(1));
    // The answer arrives after its commit, and the store is not locked while `apply` waits for the
    // next line.
    assert_eq!(dir.removal_log().len(), 1);
    dir.run_with_stdin("edit", r#"{"revoke_removal": {"user": 1, "chat": 1}}"#).assert_success();
    assert_eq!(apply.exchange(&request_to_remove(3)), json!("CHAT_DELETE_USER_PERMISSION_DENIED"));
    dir.run_with_stdin("edit", r#"{"grant_removal": {"user": 1, "chat": 1}}"#).assert_success();
    assert_eq!(apply.exchange("half a line\n"), json!("INVALID_REQUEST"));
    assert_eq!(apply.exchange(&request_to_remove(3)), json!(1));
    apply.stdin = None;
    assert!(apply.child.wait().unwrap().success());
}

#[test]
fn store_failure_ends_apply_and_reports_the_last_answered_line() {
    let dir = TestDir::with_store(&chat_with_members(10));
    let mut apply = ApplyProcess::start(&dir);
    assert_eq!(apply.exchange(&request_to_remove(2)), json!(1));
    let connection = Connection::open(dir.path("crm-chat.db")).unwrap();
    connection.execute_batch("ALTER TABLE links RENAME TO lost").unwrap();
    // Lines before the first one that needs the store are still answered.
    apply
        .stdin
        .as_mut()
        .unwrap()
        .write_all(format!("\n!\n{}{}", request_to_remove(0), request_to_remove(3)).as_bytes())
        .unwrap();
    apply.stdin = None;
    assert_eq!(apply.answer(), Some(json!("INVALID_REQUEST")));
    assert_eq!(apply.answer(), Some(json!("CRM_CHAT_EMPTY_USER")));
    assert_eq!(apply.answer(), None);

    let finished = Finished::from(apply.child.wait_with_output().unwrap()).assert_status(3);
    finished
        .assert_stderr_has("no such table")
        .assert_stderr_has("hint: line 4 was the last one answered; later lines were not applied");
    connection.execute_batch("ALTER TABLE lost RENAME TO links").unwrap();
    assert_eq!(dir.removal_log().len(), 1);
}

#[test]
fn closed_output_ends_the_program_without_a_message() {
    let dir = TestDir::with_store(&chat_with_members(2000));
    let requests: String = (2..2002).map(request_to_remove).collect();
    dir.write("requests", requests);
    for (line, status) in [("apply requests", 2), ("log", 0), ("export", 0)] {
        let mut program = dir.command(line.split(' '));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program.stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(status), ""), "{line}");
    }
    assert!(!dir.removal_log().is_empty(), "the log had something to print");
}
