//! `remove`, `explain` and `log`.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::place::{Place, WORLD};

/// The chat that an outcome answers with, or the rule that refuses and its code.
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
        let place = Place::holding(WORLD);
        let before = place.export();
        let ran = place.run(&format!("remove {arguments}"));
        match expected {
            Ok(chat) => drop(ran.succeeded().answered(&format!("{chat}\n"))),
            Err((_, code)) => {
                ran.ended(1).said(&format!("refused: {code}: ")).answered("");
                assert_eq!(place.export(), before, "{arguments}");
            }
        }
    }
}

#[test]
fn apply_and_explain_agree_with_remove() {
    for (arguments, expected) in CASES {
        let place = Place::holding(WORLD);
        let before = place.export();
        let explained =
            place.run(&format!("explain --json {arguments}")).succeeded().lines().remove(0);
        let text = place.run(&format!("explain {arguments}")).succeeded().out;
        assert_eq!(place.export(), before, "explain changes nothing: {arguments}");

        let removed = place.run(&format!("remove --json {arguments}"));
        assert_eq!(explained["answer"], removed.lines()[0], "{arguments}");
        let changed = place.export() != before;
        assert_eq!(!explained["change"].is_null(), changed, "{arguments}");

        let applied = Place::holding(WORLD).feed("apply", wire(arguments)).succeeded();
        assert_eq!(applied.out, removed.out, "{arguments}");

        if let Err((rule, code)) = expected {
            assert_eq!(explained["deciding"], *rule, "{arguments}");
            assert_eq!(explained["answer"]["error"], *code, "{arguments}");
            assert!(text.contains(&format!("\n>{rule:>3}  fails")) || *rule == 1, "{text}");
        }
    }
}

/// The same request as a line for `apply`. Every value is a string, as on the command line.
fn wire(arguments: &str) -> String {
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
fn an_empty_argument_is_absent_and_not_missing() {
    let place = Place::holding(WORLD);
    let remove = |user, chat| {
        let fixed = ["remove", "--actor", "1", "--entity", "deal:288"];
        place.run_with(fixed.into_iter().chain(["--user", user, "--chat", chat]))
    };
    remove("", "").ended(1).said("refused: CRM_CHAT_EMPTY_USER");
    remove("12", " ").ended(1).said("refused: ERROR_ARGUMENT");
    remove(" 12\n", "").succeeded().answered("8773\n");
}

#[test]
fn a_success_that_changes_nothing_says_so_beside_the_answer() {
    let place = Place::holding(WORLD);
    let absent = place.run("remove --actor 1 --entity deal:288 --user 1 --if-absent accept");
    absent.succeeded().said("not a member of chat 8773; nothing was changed");
    let no_chat = place.run("remove --actor 1 --entity contact:3 --user 12");
    no_chat.succeeded().said("has no chat; nothing was changed");
    assert_eq!(place.log(), [] as [Value; 0]);
}

#[test]
fn explain_shows_every_rule_and_the_change() {
    let place = Place::holding(WORLD);
    let text = place.run("explain --actor 1 --entity deal:288 --user 7").succeeded().out;
    assert_eq!(text.matches(" holds ").count(), 12, "{text}");
    assert!(text.ends_with(
        "\nnow, `remove` would take user 7 out of chat 8773; user 12 would own it next\n"
    ));

    let text = place.run("explain --actor 3 --entity deal:x --user 1").succeeded().out;
    let verdicts: Vec<_> = text.lines().filter_map(|line| line.get(..21)).collect();
    assert!(verdicts.contains(&">  3  fails          "), "{text}");
    assert!(verdicts.contains(&"  11  holds          "), "{text}");
    assert!(verdicts.contains(&"   9  cannot be asked"), "{text}");
    assert!(text.ends_with("would change nothing: rule 3 refuses it with ERROR_ARGUMENT\n"));

    let json = place.run("explain --actor 1 --entity deal:288 --user 7 --json").succeeded();
    let expected = json!({
        "chat": 8773, "user": 7, "actor": 1, "entity": {"type": "deal", "id": 288},
        "owner": "passes", "new_owner": 12
    });
    assert_eq!(json.lines()[0]["change"], expected);
}

#[test]
fn a_store_error_after_the_deciding_rule_is_unknown_and_before_it_fails() {
    let place = Place::holding(WORLD);
    let connection = Connection::open(place.path("crm-chat.db")).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE removers").unwrap();
    let explained = place.run("explain --json --actor 3 --entity deal:288 --user 12").succeeded();
    let rule = &explained.lines()[0]["rules"][9];
    assert_eq!(rule["verdict"], "unknown");
    assert!(rule["store_error"].as_str().unwrap().contains("no such table: removers"), "{rule}");
    let text = place.run("explain --actor 3 --entity deal:288 --user 12").succeeded().out;
    assert!(text.contains("\n  10  unknown "), "{text}");

    for command in ["explain", "remove"] {
        let ran = place.run(&format!("{command} --actor 1 --entity deal:288 --user 12"));
        ran.ended(3).said("error: cannot ").said("no such table: removers").answered("");
    }
}

#[test]
fn the_log_has_each_change_once_and_goes_on_where_a_reader_left() {
    let place = Place::holding(WORLD);
    for user in [12, 12, 7] {
        place.run(&format!("remove --actor 1 --entity deal:288 --user {user}"));
    }
    let log = place.log();
    let told: Vec<_> = log
        .iter()
        .map(|record| (&record["user"], &record["new_owner"], record["recorded_at"].is_string()))
        .collect();
    assert_eq!(told, [(&json!(12), &json!(null), true), (&json!(7), &json!(15), true)]);

    let last = log[1]["sequence"].as_u64().unwrap();
    let rest = place.run(&format!("log --after {}", last - 1)).succeeded();
    assert_eq!(rest.lines(), log[1..]);
    place.run(&format!("log --after {last}")).succeeded().answered("");
}

#[test]
fn a_log_longer_than_a_page_is_printed_whole() {
    let record = json!({"chat": 1, "user": 2, "actor": 3, "entity": {"type": "lead", "id": 4}});
    let place = Place::holding(&json!({"removals": vec![record; 2500]}).to_string());
    for after in [0, 499, 500, 501, 2499, 2500] {
        let lines = place.run(&format!("log --after {after}")).succeeded().lines();
        let numbers: Vec<_> = lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (after + 1..=2500).collect::<Vec<u64>>());
    }
}
