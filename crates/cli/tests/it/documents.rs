//! `import` and `export`.

use serde_json::{Value, json};

use crate::place::{Place, WORLD};

#[test]
fn an_export_is_laid_out_one_line_an_entry() {
    let place = Place::holding(
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
    place.run("export").succeeded().answered(expected);
}

#[test]
fn an_export_imports_to_the_same() {
    let place = Place::holding(WORLD);
    place.run("remove --actor 1 --entity deal:288 --user 7").succeeded();
    let exported = place.export();
    let other = Place::holding(&exported);
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
    let place = Place::holding("{}");
    place.run("export").succeeded().answered(expected);
}

#[test]
fn damage_that_export_meets_is_the_stores_failure() {
    let place = Place::holding(WORLD);
    rusqlite::Connection::open(place.path("crm-chat.db"))
        .unwrap()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE removers SET user = -1")
        .unwrap();
    place.run("export").ended(3).said("`removers`");
}

/// A document with members and log records.
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

/// Exports, and returns the most memory that the process had while it wrote, in bytes.
#[cfg(target_os = "linux")]
fn peak_of_export(place: &Place) -> usize {
    use std::io::Read;

    let mut export = place.program(["export"]).spawn().unwrap();
    let status = format!("/proc/{}/status", export.id());
    let mut out = export.stdout.take().unwrap();
    let mut buffer = [0; 4096];
    let mut peak = 0;
    while out.read(&mut buffer).unwrap() > 0 {
        // Its line is missing once the process has ended.
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
    const MORE: usize = 4 << 20;
    // More than a pipe holds, so that the process is there while its output is read.
    let small = peak_of_export(&Place::holding(&large(3000)));
    let place = Place::holding(&large(200_000));
    let size = place.path("crm-chat.db").metadata().unwrap().len();
    let large = peak_of_export(&place);
    assert!(size > 3 * MORE as u64, "a store of {size} bytes");
    assert!(large < small + MORE, "{large} bytes, and {small} for a small store");
}

#[test]
fn an_import_replaces_everything_and_tells_what() {
    let place = Place::holding(WORLD);
    let small = r#"{"users": [{"id": 3, "active": true}], "messenger_installed": false}"#;
    place.write("small.json", small);
    let ran = place.run("import --replace small.json").succeeded().answered("");
    let said = "imported 1 user, 0 chats with 0 members, 0 links and 0 log records into \
                sqlite:crm-chat.db\n\
                replaced 7 users, 2 chats with 6 members, 3 links and 0 log records\n";
    assert_eq!(ran.err, said);
    let content = place.content();
    assert_eq!(content["users"], json!([{"id": 3, "active": true, "kind": "human"}]));
    assert_eq!((&content["messenger_installed"], &content["chats"]), (&json!(false), &json!([])));
    place.feed("import --replace -", "{}").succeeded();
    assert_eq!(place.content()["messenger_installed"], Value::Bool(true));
}

#[test]
fn import_into_a_store_that_is_not_empty_is_refused_without_replace() {
    let place = Place::holding(WORLD);
    place.run("remove --actor 1 --entity deal:288 --user 7").succeeded();
    let before = place.export();
    for document in ["{}", WORLD] {
        let ran = place.feed("import", document).ended(1).answered("");
        ran.said(
            "refused: sqlite:crm-chat.db is not empty: it holds 7 users, 2 chats with 5 members, \
             3 links and 1 log record\nhint: `--replace` deletes them all",
        );
        assert_eq!(place.export(), before);
    }
    // An empty store needs no `--replace`.
    let place = Place::holding("{}");
    place.feed("import", WORLD).succeeded();
}

/// The document that begins at the first `{` after a text.
fn document_after(page: &str, text: &str) -> Value {
    let (_, rest) = page.split_once(text).unwrap();
    let start = rest.find('{').unwrap();
    let mut documents = serde_json::Deserializer::from_str(&rest[start..]).into_iter();
    documents.next().unwrap().unwrap()
}

#[test]
fn sample_is_the_document_of_the_help() {
    let sample = Place::empty();
    sample.run("import --sample").succeeded().said("imported 6 users, 1 chat with 4 members");
    let help = sample.run("import --help").succeeded().out;
    let document = document_after(&help, "the sample:");
    let shown = Place::holding(&document.to_string());
    assert_eq!(shown.content(), sample.content(), "{help}");
    sample.run("import --sample -").ended(2).said("cannot be used with");
}

#[test]
fn a_broken_document_is_refused_at_its_place_and_changes_nothing() {
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
    let (fresh, kept) = (Place::empty(), Place::holding(WORLD));
    let before = kept.export();
    for (document, said) in cases {
        let ran = fresh.feed("import", document).ended(2).answered("");
        ran.said("error: cannot import standard input: ")
            .said(said)
            .said("hint: nothing was imported");
        assert_eq!(fresh.files(), [] as [&str; 0], "{said}");
        kept.feed("import", document).ended(2);
        assert_eq!(kept.export(), before, "{said}");
    }
}

#[test]
fn a_message_stays_one_short_line_whatever_the_document_holds() {
    let place = Place::empty();
    let key = format!("a\\u001b[31m\\n{}", "long".repeat(1000));
    let ran = place.feed("import", format!("{{\"{key}\": 1}}")).ended(2);
    assert_eq!(ran.err.lines().count(), 2, "the message and its hint: {}", ran.err);
    assert!(ran.err.chars().count() < 1000 && !ran.err.contains('\u{1b}'), "{}", ran.err);
}
