//! `remove`, `explain` and `log` agree about the same removals.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{TestDir, WORLD};

/// The chat in the answer, or the number of the rule that refuses and its code.
type Expected = Result<i64, (u64, &'static str)>;

const CASES: &[(&str, Expected)] = &[
    ("--actor 1 --entity deal:288 --user 12", Ok(8773)),
    ("--actor 1 --entity DEAL:0288 --user 012", Ok(8773)),
    ("--actor 1 --entity deal:288 --user 7", Ok(8773)),
    ("--actor 1 --entity deal:288 --user 12 --chat 9", Ok(9)),
    ("--actor 1 --entity deal:288 --user 12 --chat 0", Ok(8773)),
    ("--actor 1 --entity contact:3 --user 12", Ok(0)),
    ("--actor 1 --entity deal:288 --user 1 --if-absent accept", Ok(8773)),
    ("--actor 1 --entity :0 --user x", Err((1, "CRM_CHAT_EMPTY_USER"))),
    ("--actor 1 --entity deal:288 --user -5", Err((1, "CRM_CHAT_EMPTY_USER"))),
    ("--actor 1 --entity deal:288 --user -h", Err((1, "CRM_CHAT_EMPTY_USER"))),
    ("--actor 1 --entity :288 --user 12", Err((2, "CRM_CHAT_EMPTY_CRM_DATA"))),
    ("--actor 1 --entity deal:0 --user 12", Err((2, "CRM_CHAT_EMPTY_CRM_DATA"))),
    ("--actor 1 --entity -1:-1 --user 12", Err((3, "ERROR_ARGUMENT"))),
    ("--actor 1 --entity deal:288:1 --user 12", Err((3, "ERROR_ARGUMENT"))),
    ("--actor 1 --entity firm:288 --user 12 --chat -9", Err((4, "ERROR_ARGUMENT"))),
    ("--actor 1 --entity firm:288 --user 12", Err((5, "ACCESS_DENIED"))),
    ("--actor 3 --entity deal:288 --user 99 --chat 99", Err((7, "ACCESS_DENIED"))),
    ("--actor 1 --entity lead:5 --user 12 --chat 8773", Err((9, "CHAT_NOT_IN_CRM"))),
    ("--actor 2 --entity deal:288 --user 40", Err((10, "CHAT_DELETE_USER_PERMISSION_DENIED"))),
    ("--actor 1 --entity deal:288 --user 40", Err((11, "CRM_CHAT_USER_NOT_ACTIVE"))),
    ("--actor 1 --entity deal:288 --user 1", Err((12, "WRONG_REQUEST"))),
];

#[test]
fn remove_prints_the_chat_or_refuses_with_the_code() {
    for (arguments, expected) in CASES {
        let dir = TestDir::with_store(WORLD);
        let before = dir.export();
        let finished = dir.run(&format!("remove {arguments}"));
        match expected {
            Ok(chat) => drop(finished.assert_success().assert_stdout(&format!("{chat}\n"))),
            Err((_, code)) => {
                finished
                    .assert_status(1)
                    .assert_stderr_has(&format!("refused: {code}: "))
                    .assert_stdout("");
                assert_eq!(dir.export(), before, "{arguments}");
            }
        }
    }
}

#[test]
fn apply_and_explain_agree_with_remove() {
    for (arguments, expected) in CASES {
        let dir = TestDir::with_store(WORLD);
        let before = dir.export();
        let explained =
            dir.run(&format!("explain --json {arguments}")).assert_success().json_lines().remove(0);
        let text = dir.run(&format!("explain {arguments}")).assert_success().stdout;
        assert_eq!(dir.export(), before, "explain changes nothing: {arguments}");

        let removed = dir.run(&format!("remove --json {arguments}"));
        assert_eq!(explained["answer"], removed.json_lines()[0], "{arguments}");
        let changed = dir.export() != before;
        assert_eq!(!explained["change"].is_null(), changed, "{arguments}");

        let applied = TestDir::with_store(WORLD)
            .run_with_stdin("apply", request_line(arguments))
            .assert_success();
        assert_eq!(applied.stdout, removed.stdout, "{arguments}");

        if let Err((rule, code)) = expected {
            assert_eq!(explained["deciding"], *rule, "{arguments}");
            assert_eq!(explained["answer"]["error"], *code, "{arguments}");
            assert!(text.contains(&format!("\n>{rule:>3}  fails")) || *rule == 1, "{text}");
        }
    }
}

/// Converts arguments into a request for `apply`, in which every value is a string.
fn request_line(arguments: &str) -> String {
    let mut request = serde_json::Map::new();
    let words: Vec<&str> = arguments.split(' ').collect();
    for pair in words.chunks(2) {
        let (name, value) = (pair[0], pair[1]);
        if name == "--entity" {
            let (kind, id) = value.split_once(':').unwrap();
            request.insert("CRM_ENTITY_TYPE".into(), kind.into());
            request.insert("CRM_ENTITY".into(), id.into());
        } else {
            let key = match name {
                "--actor" => "actor",
                "--user" => "USER_ID",
                "--chat" => "CHAT_ID",
                "--if-absent" => "if_absent",
                _ => panic!("{name}"),
            };
            request.insert(key.into(), value.into());
        }
    }
    Value::Object(request).to_string()
}

#[test]
fn empty_argument_is_an_absent_value() {
    let dir = TestDir::with_store(WORLD);
    let remove = |user, chat| {
        let common = ["remove", "--actor", "1", "--entity", "deal:288"];
        dir.run_args(common.into_iter().chain(["--user", user, "--chat", chat]))
    };
    remove("", "").assert_status(1).assert_stderr_has("refused: CRM_CHAT_EMPTY_USER");
    remove("12", " ").assert_status(1).assert_stderr_has("refused: ERROR_ARGUMENT");
    remove(" 12\n", "").assert_success().assert_stdout("8773\n");
}

#[test]
fn success_that_changes_nothing_is_noted_on_standard_error() {
    let dir = TestDir::with_store(WORLD);
    let absent = dir.run("remove --actor 1 --entity deal:288 --user 1 --if-absent accept");
    absent.assert_success().assert_stderr_has("not a member of chat 8773; nothing was changed");
    let no_chat = dir.run("remove --actor 1 --entity contact:3 --user 12");
    no_chat.assert_success().assert_stderr_has("has no chat; nothing was changed");
    assert_eq!(dir.removal_log(), [] as [Value; 0]);
}

#[test]
fn explain_shows_every_rule_and_the_change() {
    let dir = TestDir::with_store(WORLD);
    let text = dir.run("explain --actor 1 --entity deal:288 --user 7").assert_success().stdout;
    assert_eq!(text.matches(" holds ").count(), 12, "{text}");
    assert!(text.ends_with(
        "\n`remove` would remove user 7 from chat 8773; user 12 would become its owner\n"
    ));

    let text = dir.run("explain --actor 3 --entity deal:x --user 1").assert_success().stdout;
    let verdicts: Vec<_> = text.lines().filter_map(|line| line.get(..21)).collect();
    assert!(verdicts.contains(&">  3  fails          "), "{text}");
    assert!(verdicts.contains(&"  11  holds          "), "{text}");
    assert!(verdicts.contains(&"   9  cannot be asked"), "{text}");
    assert!(text.ends_with("change nothing: rule 3 refuses the removal with ERROR_ARGUMENT\n"));

    let json = dir.run("explain --actor 1 --entity deal:288 --user 7 --json").assert_success();
    let expected = json!({
        "chat": 8773, "user": 7, "actor": 1, "entity": {"type": "deal", "id": 288},
        "owner": "passes", "new_owner": 12
    });
    assert_eq!(json.json_lines()[0]["change"], expected);
}

#[test]
fn store_error_is_a_verdict_only_after_the_deciding_rule() {
    let dir = TestDir::with_store(WORLD);
    let connection = Connection::open(dir.path("crm-chat.db")).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE removers").unwrap();
    let explained =
        dir.run("explain --json --actor 3 --entity deal:288 --user 12").assert_success();
    let rule = &explained.json_lines()[0]["rules"][9];
    assert_eq!(rule["verdict"], "unknown");
    assert!(rule["store_error"].as_str().unwrap().contains("no such table: removers"), "{rule}");
    let text = dir.run("explain --actor 3 --entity deal:288 --user 12").assert_success().stdout;
    assert!(text.contains("\n  10  unknown "), "{text}");

    for command in ["explain", "remove"] {
        let finished = dir.run(&format!("{command} --actor 1 --entity deal:288 --user 12"));
        finished
            .assert_status(3)
            .assert_stderr_has("error: cannot ")
            .assert_stderr_has("no such table: removers")
            .assert_stdout("");
    }
}

#[test]
fn log_has_each_change_once_and_continues_after_a_number() {
    let dir = TestDir::with_store(WORLD);
    for user in [12, 12, 7] {
        dir.run(&format!("remove --actor 1 --entity deal:288 --user {user}"));
    }
    let log = dir.removal_log();
    let actual: Vec<_> = log
        .iter()
        .map(|record| (&record["user"], &record["new_owner"], record["recorded_at"].is_string()))
        .collect();
    assert_eq!(actual, [(&json!(12), &json!(null), true), (&json!(7), &json!(15), true)]);

    let last = log[1]["sequence"].as_u64().unwrap();
    let rest = dir.run(&format!("log --after {}", last - 1)).assert_success();
    assert_eq!(rest.json_lines(), log[1..]);
    dir.run(&format!("log --after {last}")).assert_success().assert_stdout("");
}

#[test]
fn log_longer_than_a_page_is_printed_completely() {
    let record = json!({"chat": 1, "user": 2, "actor": 3, "entity": {"type": "lead", "id": 4}});
    let dir = TestDir::with_store(&json!({"removals": vec![record; 2500]}).to_string());
    for after in [0, 499, 500, 501, 2499, 2500] {
        let lines = dir.run(&format!("log --after {after}")).assert_success().json_lines();
        let numbers: Vec<_> = lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (after + 1..=2500).collect::<Vec<u64>>());
    }
}
