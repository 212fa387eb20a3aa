//! `import` and `export`: documents, their layout, and the memory that they take.

use serde_json::{Value, json};

use crate::support::{TestDir, WORLD};

#[test]
fn export_has_one_line_for_each_entry() {
    let dir = TestDir::with_store(
        r#"{"users": [{"id": 2, "active": false, "kind": "bot"}, {"id": 1, "active": true}],
            "chats": [{"id": 5, "members": [2, 1], "owner": 1}, {"id": 4}],
            "links": [{"entity": {"type": "lead", "id": 9}, "chat": 5}, {"entity": {"type": "deal", "id": 288}, "chat": 5}],
            "access": [{"user": 2, "entity": {"type": "lead", "id": 9}}, {"user": 1, "entity": {"type": "contact", "id": 1}},
                       {"user": 1, "entity": {"type": "company", "id": 2}}, {"user": 1, "entity": {"type": "lead", "id": 9}},
                       {"user": 1, "entity": {"type": "deal", "id": 10}}, {"user": 1, "entity": {"type": "deal", "id": 9}}],
            "removers": [{"user": 2, "chat": 4}, {"user": 1, "chat": 5}, {"user": 1, "chat": 4}],
            "removals": [{"chat": 6, "user": 9, "actor": 1, "entity": {"type": "lead", "id": 3},
                          "recorded_at": "2026-11-22T10:12:41+01:00"}]}"#,
    );
    let expected = r#"{
  "messenger_installed": true,
  "users": [
    {"id": 1, "active": true, "kind": "human"},
    {"id": 2, "active": false, "kind": "bot"}
  ],
  "chats": [
    {"id": 4, "owner": null, "members": []},
    {"id": 5, "owner": 1, "members": [2, 1]}
  ],
  "links": [
    {"entity": {"type": "lead", "id": 9}, "chat": 5},
    {"entity": {"type": "deal", "id": 288}, "chat": 5}
  ],
  "access": [
    {"user": 1, "entity": {"type": "lead", "id": 9}},
    {"user": 1, "entity": {"type": "deal", "id": 9}},
    {"user": 1, "entity": {"type": "deal", "id": 10}},
    {"user": 1, "entity": {"type": "company", "id": 2}},
    {"user": 1, "entity": {"type": "contact", "id": 1}},
    {"user": 2, "entity": {"type": "lead", "id": 9}}
  ],
  "removers": [
    {"user": 1, "chat": 4},
    {"user": 1, "chat": 5},
    {"user": 2, "chat": 4}
  ],
  "removals": [
    {"chat": 6, "user": 9, "actor": 1, "entity": {"type": "lead", "id": 3}, "new_owner": null, "recorded_at": "2026-11-22T09:12:41Z"}
  ]
}
"#;
    dir.run("export").assert_success().assert_stdout(expected);
}

#[test]
fn imported_export_gives_the_same_store() {
    let dir = TestDir::with_store(WORLD);
    dir.run("remove --actor 1 --entity deal:288 --user 7").assert_success();
    let exported = dir.export();
    let other = TestDir::with_store(&exported);
    assert_eq!(other.export(), exported);
}

#[test]
fn export_of_an_empty_store_has_empty_lists() {
    let expected = r#"{
  "messenger_installed": true,
  "users": [],
  "chats": [],
  "links": [],
  "access": [],
  "removers": [],
  "removals": []
}
"#;
    let dir = TestDir::with_store("{}");
    dir.run("export").assert_success().assert_stdout(expected);
}

#[test]
fn corrupt_row_ends_export_with_a_store_error() {
    let dir = TestDir::with_store(WORLD);
    rusqlite::Connection::open(dir.path("crm-chat.db"))
        .unwrap()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE removers SET user = -1")
        .unwrap();
    dir.run("export").assert_status(3).assert_stderr_has("`removers`");
}

/// Returns a document with as many log records as members.
#[cfg(target_os = "linux")]
fn large(members: u64) -> String {
    const SIZE: u64 = 100;
    let chats: Vec<Value> = (1..=members / SIZE)
        .map(|id| json!({"id": id, "members": (1..=SIZE).collect::<Vec<_>>()}))
        .collect();
    let record = |user| {
        json!({"chat": 1, "user": user, "actor": 1, "entity": {"type": "deal", "id": 1},
               "new_owner": null, "recorded_at": "2026-11-22T09:12:41Z"})
    };
    let removals: Vec<Value> = (1..=members).map(record).collect();
    json!({"chats": chats, "removals": removals}).to_string()
}

/// Exports, and returns the peak resident memory of the process while it was writing, in bytes.
#[cfg(target_os = "linux")]
fn peak_of_export(dir: &TestDir) -> usize {
    use std::io::Read;

    let mut export = dir.command(["export"]).spawn().unwrap();
    let status = format!("/proc/{}/status", export.id());
    let mut out = export.stdout.take().unwrap();
    let mut buffer = [0; 4096];
    let mut peak = 0;
    while out.read(&mut buffer).unwrap() > 0 {
        // The line is missing once the process has ended.
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.map(|line| line.trim().trim_end_matches(" kB"));
        peak = kibibytes.map_or(peak, |kibibytes| kibibytes.parse::<usize>().unwrap() << 10);
    }
    assert!(export.wait().unwrap().success());
    assert!(peak > 0);
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn memory_of_export_does_not_grow_with_the_store() {
    const TOLERANCE: usize = 4 << 20;
    // More than fits into a pipe, so that the process is still running while its output is read.
    let small = peak_of_export(&TestDir::with_store(&large(3000)));
    let dir = TestDir::with_store(&large(200_000));
    let size = dir.path("crm-chat.db").metadata().unwrap().len();
    let large = peak_of_export(&dir);
    assert!(size > 3 * TOLERANCE as u64, "a store of {size} bytes");
    assert!(large < small + TOLERANCE, "{large} bytes, and {small} for a small store");
}

#[test]
fn import_replaces_everything_and_reports_the_sizes() {
    let dir = TestDir::with_store(WORLD);
    let small = r#"{"users": [{"id": 3, "active": true}], "messenger_installed": false}"#;
    dir.write("small.json", small);
    let finished = dir.run("import --replace small.json").assert_success().assert_stdout("");
    let expected = "imported 1 user, 0 chats with 0 members, 0 links and 0 log records into \
                sqlite:crm-chat.db\n\
                replaced 7 users, 2 chats with 6 members, 3 links and 0 log records\n";
    assert_eq!(finished.stderr, expected);
    let content = dir.export_json();
    assert_eq!(content["users"], json!([{"id": 3, "active": true, "kind": "human"}]));
    assert_eq!((&content["messenger_installed"], &content["chats"]), (&json!(false), &json!([])));
    dir.run_with_stdin("import --replace -", "{}").assert_success();
    assert_eq!(dir.export_json()["messenger_installed"], Value::Bool(true));
}

#[test]
fn import_into_a_store_that_is_not_empty_is_refused_without_replace() {
    let dir = TestDir::with_store(WORLD);
    dir.run("remove --actor 1 --entity deal:288 --user 7").assert_success();
    let before = dir.export();
    for document in ["{}", WORLD] {
        let finished = dir.run_with_stdin("import", document).assert_status(1).assert_stdout("");
        finished.assert_stderr_has(
            "refused: sqlite:crm-chat.db is not empty: it holds 7 users, 2 chats with 5 members, \
             3 links and 1 log record\nhint: `--replace` deletes its content",
        );
        assert_eq!(dir.export(), before);
    }
    // An empty store needs no `--replace`.
    let dir = TestDir::with_store("{}");
    dir.run_with_stdin("import", WORLD).assert_success();
}

/// Parses the document that begins at the first `{` after a text.
fn document_after(page: &str, text: &str) -> Value {
    let (_, rest) = page.split_once(text).unwrap();
    let start = rest.find('{').unwrap();
    let mut documents = serde_json::Deserializer::from_str(&rest[start..]).into_iter();
    documents.next().unwrap().unwrap()
}

#[test]
fn sample_is_the_document_in_the_help() {
    let sample = TestDir::empty();
    sample
        .run("import --sample")
        .assert_success()
        .assert_stderr_has("imported 6 users, 1 chat with 4 members");
    let help = sample.run("import --help").assert_success().stdout;
    let document = document_after(&help, "the sample:");
    let shown = TestDir::with_store(&document.to_string());
    assert_eq!(shown.export_json(), sample.export_json(), "{help}");
    sample.run("import --sample -").assert_status(2).assert_stderr_has("cannot be used with");
}

#[test]
fn invalid_document_is_located_and_changes_nothing() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "line 1 column 0"),
        (b"[]", "an object"),
        (b"null", "an object"),
        (b"{} {}", "trailing characters at line 1 column 4"),
        (b"{\"users\": [", "`users`: EOF"),
        (b"{\"users\": [{\"id\": 1, \"active\": true}", "`users`: EOF"),
        (b"\xff{}", "line 1 column 1"),
        (b"{\"users\": [{\"id\": 1, \"active\": true, \"kind\": \"\xff\"}]}", "`users[0].kind`"),
        (br#"{"userz": []}"#, "`userz`"),
        (br#"{"users": [], "users": []}"#, "duplicate field `users`"),
        (br#"{"users": [{"id": 1, "active": true, "name": "x"}]}"#, "`users[0].name`"),
        (br#"{"users": [{"id": 1}]}"#, "`users[0]`: missing field `active`"),
        (br#"{"users": [{"id": 1, "active": 1}]}"#, "`users[0].active`"),
        (br#"{"users": [{"id": 1, "active": true, "kind": "alien"}]}"#, "`users[0].kind`"),
        (br#"{"users": [{"id": 1, "active": true}, {"id": 1, "active": true}]}"#, "`users[1]`: user 1 is listed twice"),
        (br#"{"chats": [{"id": 1, "members": [7, 0]}]}"#, "`chats[0].members[1]`"),
        (br#"{"chats": [{"id": 1, "members": [7, "8"]}]}"#, "`chats[0].members[1]`"),
        (br#"{"chats": [{"id": 1, "members": [7, 7]}]}"#, "`chats[0].members[1]`: member 7 is listed twice"),
        (br#"{"chats": [{"id": 1, "members": [7], "owner": 8}]}"#, "`chats[0].owner`: user 8 is not a member"),
        (br#"{"chats": [{"id": 9223372036854775808}]}"#, "`chats[0].id`"),
        (br#"{"chats": [{"id": 1e400}]}"#, "`chats[0].id`"),
        (br#"{"chats": [{"id": 1.0}]}"#, "`chats[0].id`"),
        (br#"{"links": [{"entity": {"type": "deal", "id": 1}, "chat": 1}]}"#, "`links[0].chat`: chat 1 is not listed"),
        (br#"{"links": [{"entity": {"type": "Deal", "id": 1}, "chat": 1}]}"#, "`links[0].entity.type`"),
        (br#"{"removers": [{"user": 1, "chat": 1}]}"#, "`removers[0].chat`: chat 1 is not listed"),
        (br#"{"removals": [{"chat": 1, "user": 1, "actor": 1, "entity": {"type": "deal", "id": 1}, "recorded_at": "today"}]}"#, "`removals[0].recorded_at`"),
    ];
    let (fresh, filled) = (TestDir::empty(), TestDir::with_store(WORLD));
    let before = filled.export();
    for (document, message) in cases {
        let finished = fresh.run_with_stdin("import", document).assert_status(2).assert_stdout("");
        finished
            .assert_stderr_has("error: cannot import standard input: ")
            .assert_stderr_has(message)
            .assert_stderr_has("hint: nothing was imported");
        assert_eq!(fresh.files(), [] as [&str; 0], "{message}");
        filled.run_with_stdin("import", document).assert_status(2);
        assert_eq!(filled.export(), before, "{message}");
    }
}

#[test]
fn message_is_one_short_line_for_any_document() {
    let dir = TestDir::empty();
    let key = format!("a\\u001b[31m\\n{}", "long".repeat(1000));
    let finished = dir.run_with_stdin("import", format!("{{\"{key}\": 1}}")).assert_status(2);
    assert_eq!(finished.stderr.lines().count(), 2, "the message and its hint: {}", finished.stderr);
    assert!(
        finished.stderr.chars().count() < 1000 && !finished.stderr.contains('\u{1b}'),
        "{}",
        finished.stderr
    );
}
