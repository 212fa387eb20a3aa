//! `edit`: every kind of edit, and invalid lines.

use serde_json::{Value, json};

use crate::support::{TestDir, WORLD};

#[test]
fn help_has_a_working_example_of_every_edit() {
    let dir = TestDir::with_store("{}");
    let help = dir.run("edit --help").assert_success().stdout;
    let examples: Vec<&str> =
        help.lines().map(str::trim).filter(|line| line.starts_with('{')).collect();
    dir.run_with_stdin("edit", examples.join("\n"))
        .assert_success()
        .assert_stderr_has(&format!("applied {} edits", examples.len()));

    // The message for an unknown edit lists all known ones.
    let unknown = dir.run_with_stdin("edit", r#"{"fly": {}}"#).assert_status(2).stderr;
    let (_, known) = unknown.lines().next().unwrap().split_once("expected one of ").unwrap();
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert_eq!(known.len(), examples.len(), "{known:?}");
    for name in known {
        assert!(
            examples.iter().any(|example| example.starts_with(&format!("{{\"{name}\":"))),
            "{name}"
        );
    }
}

#[test]
fn edits_are_applied_in_order() {
    let dir = TestDir::with_store("{}");
    dir.write(
        "edits",
        r#"
        {"add_chat": {"chat": 1}}
        {"join": {"chat": 1, "user": 3}}

        {"join": {"chat": 1, "user": 2}}
        {"set_owner": {"chat": 1, "user": 2}}
        {"set_messenger": {"installed": false}}"#,
    );
    dir.run("edit edits").assert_success().assert_stdout("").assert_stderr_has("applied 5 edits");
    let content = dir.export_json();
    assert_eq!(content["chats"], json!([{"id": 1, "owner": 2, "members": [3, 2]}]));
    assert_eq!(content["messenger_installed"], Value::Bool(false));
}

#[test]
fn first_invalid_line_stops_and_earlier_lines_stay_applied() {
    let cases: &[(&[u8], i32, &str)] = &[
        (br#"{"join": {"chat": 99, "user": 1}}"#, 1, "refused: line 2: chat 99 is not known"),
        (br#"{"activate_user": {"user": 99}}"#, 1, "refused: line 2: user 99 is not known"),
        (
            br#"{"set_owner": {"chat": 9, "user": 7}}"#,
            1,
            "refused: line 2: user 7 is not a member of chat 9",
        ),
        (br#"{"join": {"chat": 9}}"#, 2, "error: line 2: not a valid edit: missing field `user`"),
        (br#"{"join": {"chat": 9, "user": 1, "as": 2}}"#, 2, "unknown field `as`"),
        (br#"{"join": {"chat": 0, "user": 1}}"#, 2, "error: line 2: not a valid edit: "),
        (br#"{"join": {"chat": 9, "user": 1}"#, 2, "at column 31"),
        (br#"{"join": {"chat": 9, "user": 1}} x"#, 2, "trailing characters at column 34"),
        (
            br#"{"join": {"chat": 9, "user": 1}, "add_chat": {"chat": 2}}"#,
            2,
            "error: line 2: not a valid edit: ",
        ),
        (br#""join""#, 2, "error: line 2: not a valid edit: "),
        (b"\xff", 2, "not UTF-8"),
    ];
    for (line, status, message) in cases {
        let dir = TestDir::with_store(WORLD);
        let mut lines = br#"{"join": {"chat": 9, "user": 50}}"#.to_vec();
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\n{\"join\": {\"chat\": 9, \"user\": 51}}\n");
        let finished = dir.run_with_stdin("edit", lines).assert_status(*status).assert_stdout("");
        finished
            .assert_stderr_has(message)
            .assert_stderr_has("hint: line 1 was the last one applied");
        assert_eq!(dir.export_json()["chats"][0]["members"], json!([12, 50]), "{message}");
    }
}

#[test]
fn edits_change_the_answer_to_a_removal() {
    // Each edit turns a refusal into a removal, or the other way round.
    let dir = TestDir::with_store(WORLD);
    let edit = |line: &str| drop(dir.run_with_stdin("edit", line).assert_success());
    let remove =
        |actor, user| dir.run(&format!("remove --actor {actor} --entity deal:288 --user {user}"));
    remove(2, 15).assert_status(1).assert_stderr_has("CHAT_DELETE_USER_PERMISSION_DENIED");
    edit(r#"{"grant_removal": {"user": 2, "chat": 8773}}"#);
    edit(r#"{"set_messenger": {"installed": false}}"#);
    remove(2, 15).assert_status(1).assert_stderr_has("refused: IM_NOT_INSTALLED");
    edit(r#"{"set_messenger": {"installed": true}}"#);
    remove(2, 15).assert_success();
    edit(r#"{"activate_user": {"user": 40}}"#);
    remove(2, 40).assert_success();
    edit(r#"{"link": {"entity": {"type": "deal", "id": 288}, "chat": 9}}"#);
    remove(1, 12).assert_success().assert_stdout("9\n");
    edit(r#"{"revoke_access": {"user": 2, "entity": {"type": "deal", "id": 288}}}"#);
    remove(2, 12).assert_status(1).assert_stderr_has("refused: ACCESS_DENIED");
}
