//! `edit`.

use serde_json::{Value, json};

use crate::place::{Place, WORLD};

#[test]
fn the_examples_in_the_help_work_and_are_all_there_are() {
    let place = Place::holding("{}");
    let help = place.run("edit --help").succeeded().out;
    let examples: Vec<&str> =
        help.lines().map(str::trim).filter(|line| line.starts_with('{')).collect();
    place
        .feed("edit", examples.join("\n"))
        .succeeded()
        .said(&format!("applied {} changes", examples.len()));

    // The message for an unknown change lists those that there are.
    let unknown = place.feed("edit", r#"{"fly": {}}"#).ended(2).err;
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
fn changes_are_made_in_order() {
    let place = Place::holding("{}");
    place.write(
        "changes",
        r#"
        {"add_chat": {"chat": 1}}
        {"join": {"chat": 1, "user": 3}}

        {"join": {"chat": 1, "user": 2}}
        {"set_owner": {"chat": 1, "user": 2}}
        {"set_messenger": {"installed": false}}"#,
    );
    place.run("edit changes").succeeded().answered("").said("applied 5 changes");
    let content = place.content();
    assert_eq!(content["chats"], json!([{"id": 1, "owner": 2, "members": [3, 2]}]));
    assert_eq!(content["messenger_installed"], Value::Bool(false));
}

#[test]
fn the_first_bad_line_ends_it_and_what_came_before_stays() {
    let cases: &[(&[u8], i32, &str)] = &[
        (br#"{"join": {"chat": 99, "user": 1}}"#, 1, "refused: line 2: chat 99 is not known"),
        (br#"{"activate_user": {"user": 99}}"#, 1, "refused: line 2: user 99 is not known"),
        (
            br#"{"set_owner": {"chat": 9, "user": 7}}"#,
            1,
            "refused: line 2: user 7 is not a member of chat 9",
        ),
        (br#"{"join": {"chat": 9}}"#, 2, "error: line 2 is no change: missing field `user`"),
        (br#"{"join": {"chat": 9, "user": 1, "as": 2}}"#, 2, "unknown field `as`"),
        (br#"{"join": {"chat": 0, "user": 1}}"#, 2, "error: line 2 is no change: "),
        (br#"{"join": {"chat": 9, "user": 1}"#, 2, "at column 31"),
        (br#"{"join": {"chat": 9, "user": 1}} x"#, 2, "trailing characters at column 34"),
        (
            br#"{"join": {"chat": 9, "user": 1}, "add_chat": {"chat": 2}}"#,
            2,
            "error: line 2 is no change: ",
        ),
        (br#""join""#, 2, "error: line 2 is no change: "),
        (b"\xff", 2, "not UTF-8"),
    ];
    for (line, status, said) in cases {
        let place = Place::holding(WORLD);
        let mut lines = br#"{"join": {"chat": 9, "user": 50}}"#.to_vec();
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\n{\"join\": {\"chat\": 9, \"user\": 51}}\n");
        let ran = place.feed("edit", lines).ended(*status).answered("");
        ran.said(said).said("hint: line 1 was the last applied");
        assert_eq!(place.content()["chats"][0]["members"], json!([12, 50]), "{said}");
    }
}

#[test]
fn what_no_refusal_of_a_removal_touches_an_edit_changes() {
    // Each edit turns a refusal into a removal, or the reverse.
    let place = Place::holding(WORLD);
    let edit = |line: &str| drop(place.feed("edit", line).succeeded());
    let remove =
        |actor, user| place.run(&format!("remove --actor {actor} --entity deal:288 --user {user}"));
    remove(2, 15).ended(1).said("CHAT_DELETE_USER_PERMISSION_DENIED");
    edit(r#"{"grant_removal": {"user": 2, "chat": 8773}}"#);
    edit(r#"{"set_messenger": {"installed": false}}"#);
    remove(2, 15).ended(1).said("refused: IM_NOT_INSTALLED");
    edit(r#"{"set_messenger": {"installed": true}}"#);
    remove(2, 15).succeeded();
    edit(r#"{"activate_user": {"user": 40}}"#);
    remove(2, 40).succeeded();
    edit(r#"{"link": {"entity": {"type": "deal", "id": 288}, "chat": 9}}"#);
    remove(1, 12).succeeded().answered("9\n");
    edit(r#"{"revoke_access": {"user": 2, "entity": {"type": "deal", "id": 288}}}"#);
    remove(2, 12).ended(1).said("refused: ACCESS_DENIED");
}
