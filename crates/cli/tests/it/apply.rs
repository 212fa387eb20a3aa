//! `apply`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::place::{Place, Ran, WORLD};

const REMOVE_12: &str =
    r#"{"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 12}"#;

/// A request like [`REMOVE_12`], but that this key has this value.
fn with(key: &str, value: &str) -> String {
    let request = REMOVE_12.replace(", \"USER_ID\": 12", "");
    let user = if key == "USER_ID" { "" } else { ", \"USER_ID\": 12" };
    // Of a key given twice the last counts.
    request.replace('}', &format!("{user}, \"{key}\": {value}}}"))
}

/// What an answer says: the chat, or the code.
fn told(answer: &Value) -> Value {
    answer.get("result").or(answer.get("error")).unwrap().clone()
}

#[track_caller]
fn answers(ran: &Ran, expected: &[Value]) {
    let told: Vec<Value> = ran.lines().iter().map(told).collect();
    assert_eq!(told, expected, "{ran:?}");
}

#[test]
fn every_odd_value_has_its_answer() {
    let absent = [r#""""#, r#""0""#, "null", "0", "0.0", "-0", "0e5", "false", "[]", "{}"];
    let no_id = [
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
    let id_of_12 = [r#""12""#, r#""0012""#, r#"" \t\r\n12 ""#, "12"];
    let check = |key: &str, values: &[&str], expected: &Value| {
        let place = Place::holding(WORLD);
        for value in values {
            let ran = place.feed("apply", with(key, value)).succeeded();
            assert_eq!(told(&ran.lines()[0]), *expected, "{key}: {value}");
        }
    };
    for none in [&absent[..], &no_id] {
        check("USER_ID", none, &json!("CRM_CHAT_EMPTY_USER"));
        check("actor", none, &json!("INVALID_REQUEST"));
    }
    check("CRM_ENTITY", &absent, &json!("CRM_CHAT_EMPTY_CRM_DATA"));
    check("CRM_ENTITY", &no_id, &json!("ERROR_ARGUMENT"));
    check("CRM_ENTITY_TYPE", &absent, &json!("CRM_CHAT_EMPTY_CRM_DATA"));
    check(
        "CRM_ENTITY_TYPE",
        &[r#""Lead ""#, r#""firm""#, "1", "true", "[1]"],
        &json!("ACCESS_DENIED"),
    );
    check("CHAT_ID", &no_id, &json!("ERROR_ARGUMENT"));
    check(
        "if_absent",
        &[r#""Accept""#, r#""no""#, "true", "1", "[1]", r#""""#],
        &json!("INVALID_REQUEST"),
    );
    for value in absent {
        check("CHAT_ID", &[value], &json!(8773));
    }
    for value in id_of_12 {
        check("USER_ID", &[value], &json!(8773));
        check("CHAT_ID", &[value], &json!("CHAT_NOT_IN_CRM"));
    }
}

#[test]
fn lines_are_answered_in_order_and_a_bad_one_does_not_stop_the_rest() {
    let place = Place::holding(WORLD);
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
    place.write("requests", &lines);

    let ran = place.run("apply requests").succeeded();
    assert_eq!(ran.err, "");
    let invalid = json!("INVALID_REQUEST");
    let mut expected = vec![json!(8773)];
    expected.extend(std::iter::repeat_n(invalid, 5));
    expected.extend([json!(8773), json!("WRONG_REQUEST"), json!("ERROR_ARGUMENT"), json!(8773)]);
    answers(&ran, &expected);
    for (answer, number) in ran.lines()[1..6].iter().zip(4..) {
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("line {number}: ")), "{description}");
    }
    assert_eq!(ran.lines()[8]["argument"], "CHAT_ID");
    assert_eq!(place.log().len(), 2);
}

#[test]
fn a_line_too_long_is_one_bad_line() {
    let place = Place::holding(WORLD);
    let padded = |length: usize| {
        format!("{}{}", with("CHAT_ID", "8773"), " ".repeat(length - with("CHAT_ID", "8773").len()))
    };
    let (fits, too_long) = (padded(64 * 1024), padded(64 * 1024 + 1));
    let endless = format!("{{\"actor\": \"{}", "1".repeat(5_000_000));
    let lines = [&fits, &too_long, REMOVE_12, &endless, REMOVE_12, &too_long].join("\n");
    let ran = place.feed("apply", lines).succeeded();
    let (invalid, wrong) = (json!("INVALID_REQUEST"), json!("WRONG_REQUEST"));
    answers(&ran, &[json!(8773), invalid.clone(), wrong.clone(), invalid.clone(), wrong, invalid]);
    assert!(
        ran.lines()[3]["error_description"]
            .as_str()
            .unwrap()
            .starts_with("line 4: it is longer than")
    );
}

/// A world in which user 1 may remove the users 2 to `members` + 1 from chat 1 of `deal:1`.
pub(crate) fn crowd(members: u64) -> String {
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

/// The request to remove a user from that chat.
pub(crate) fn leave(user: u64) -> String {
    format!(
        "{{\"actor\": 1, \"CRM_ENTITY_TYPE\": \"deal\", \"CRM_ENTITY\": 1, \"USER_ID\": {user}}}\n"
    )
}

#[test]
fn many_lines_are_all_answered_in_order() {
    let place = Place::holding(&crowd(3000));
    // Each user twice, far enough apart to fall into different chunks; every second time, something odd in between.
    let users = || (2..3002).chain(2..3002);
    let lines: String = users()
        .map(|user| if user % 2 == 0 { format!("{}!\n", leave(user)) } else { leave(user) })
        .collect();
    let ran = place.feed("apply", lines).succeeded();
    let mut expected = Vec::new();
    for (index, user) in users().enumerate() {
        expected.push(if index < 3000 { json!(1) } else { json!("WRONG_REQUEST") });
        if user % 2 == 0 {
            expected.push(json!("INVALID_REQUEST"));
        }
    }
    answers(&ran, &expected);
    let removed: Vec<u64> =
        place.log().iter().map(|record| record["user"].as_u64().unwrap()).collect();
    assert_eq!(removed, (2..3002).collect::<Vec<_>>());
}

/// A running `apply` that is fed and read line by line.
pub(crate) struct Conversation {
    pub(crate) child: Child,
    pub(crate) ask: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Conversation {
    pub(crate) fn with(place: &Place) -> Self {
        let mut child = place.start("apply");
        let (ask, answers) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(answers).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, ask, answers: receiver }
    }

    /// Reads one answer, if there is one still to come. An answer that never comes is a failure and no endless test.
    pub(crate) fn answer(&mut self) -> Option<Value> {
        match self.answers.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => Some(told(&serde_json::from_str(&line).unwrap())),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no answer comes while the input is open"),
        }
    }

    fn say(&mut self, line: &str) -> Value {
        self.ask.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        self.answer().unwrap()
    }
}

#[test]
fn an_answer_comes_while_the_input_is_open_and_nobody_is_kept_waiting() {
    let place = Place::holding(&crowd(10));
    let mut apply = Conversation::with(&place);
    assert_eq!(apply.say(&leave(2)), json!(1));
    // The answer is given after its commit, and the store is free while `apply` waits for the next line.
    assert_eq!(place.log().len(), 1);
    place.feed("edit", r#"{"revoke_removal": {"user": 1, "chat": 1}}"#).succeeded();
    assert_eq!(apply.say(&leave(3)), json!("CHAT_DELETE_USER_PERMISSION_DENIED"));
    place.feed("edit", r#"{"grant_removal": {"user": 1, "chat": 1}}"#).succeeded();
    assert_eq!(apply.say("half a line\n"), json!("INVALID_REQUEST"));
    assert_eq!(apply.say(&leave(3)), json!(1));
    apply.ask = None;
    assert!(apply.child.wait().unwrap().success());
}

#[test]
fn a_store_that_fails_midway_ends_it_and_says_where() {
    let place = Place::holding(&crowd(10));
    let mut apply = Conversation::with(&place);
    assert_eq!(apply.say(&leave(2)), json!(1));
    let connection = Connection::open(place.path("crm-chat.db")).unwrap();
    connection.execute_batch("ALTER TABLE links RENAME TO lost").unwrap();
    // What the line alone decides is answered all the same, up to the first that needs the store.
    apply
        .ask
        .as_mut()
        .unwrap()
        .write_all(format!("\n!\n{}{}", leave(0), leave(3)).as_bytes())
        .unwrap();
    apply.ask = None;
    assert_eq!(apply.answer(), Some(json!("INVALID_REQUEST")));
    assert_eq!(apply.answer(), Some(json!("CRM_CHAT_EMPTY_USER")));
    assert_eq!(apply.answer(), None);

    let ran = Ran::from(apply.child.wait_with_output().unwrap()).ended(3);
    ran.said("no such table")
        .said("hint: line 4 was the last answered; later lines were not applied");
    connection.execute_batch("ALTER TABLE lost RENAME TO links").unwrap();
    assert_eq!(place.log().len(), 1);
}

#[test]
fn a_reader_that_leaves_is_no_reason_to_complain() {
    let place = Place::holding(&crowd(2000));
    let requests: String = (2..2002).map(leave).collect();
    place.write("requests", requests);
    for (line, status) in [("apply requests", 2), ("log", 0), ("export", 0)] {
        let mut program = place.program(line.split(' '));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program.stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(status), ""), "{line}");
    }
    assert!(!place.log().is_empty(), "the log had something to print");
}
