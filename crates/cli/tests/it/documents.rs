//! `import` and `export`.

use serde_json::{Value, json};

use crate::place::{Place, WORLD};

#[test]
fn an_export_is_laid_out_one_line_an_entry() {
    let place = Place::holding(
        r#"{"users": [{"id": 2, "active": false, "kind": "bot"}, {"id": 1, "active": true}],
            "chats": [{"id": 5, "members": [2, 1], "owner": 1}, {"id": 4}],
            "links": [{"entity": {"type": "deal", "id": 288}, "chat": 5}],
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
    {"entity": {"type": "deal", "id": 288}, "chat": 5}
  ],
  "access": [],
  "removers": [],
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
    place
        .run("remove --actor 1 --entity deal:288 --user 7")
        .succeeded();
    let exported = place.export();
    let other = Place::holding(&exported);
    assert_eq!(other.export(), exported);
}

#[test]
fn an_import_replaces_everything_and_tells_what() {
    let place = Place::holding(WORLD);
    let small = r#"{"users": [{"id": 3, "active": true}], "messenger_installed": false}"#;
    place.write("small.json", small);
    let ran = place.run("import small.json").succeeded().answered("");
    ran.said("imported 1 user, 0 chats with 0 members, 0 links and 0 log records into sqlite:crm-chat.db");
    let content = place.content();
    assert_eq!(
        content["users"],
        json!([{"id": 3, "active": true, "kind": "human"}])
    );
    assert_eq!(
        (&content["messenger_installed"], &content["chats"]),
        (&json!(false), &json!([]))
    );
    place.feed("import -", "{}").succeeded();
    assert_eq!(place.content()["messenger_installed"], Value::Bool(true));
}

/// The document that begins at the first `{` after a text.
fn document_after(page: &str, text: &str) -> Value {
    let (_, rest) = page.split_once(text).unwrap();
    let start = rest.find('{').unwrap();
    let mut documents = serde_json::Deserializer::from_str(&rest[start..]).into_iter();
    documents.next().unwrap().unwrap()
}

#[test]
fn sample_is_the_document_of_the_help_and_of_the_readme() {
    let sample = Place::empty();
    sample
        .run("import --sample")
        .succeeded()
        .said("imported 6 users, 1 chat with 4 members");
    let help = sample.run("import --help").succeeded().out;
    let readme = std::fs::read_to_string("../../README.md").unwrap();
    for (page, text) in [(help, "the sample:"), (readme, "let world: Snapshot")] {
        let document = document_after(&page, text);
        let shown = Place::holding(&document.to_string());
        assert_eq!(shown.content(), sample.content(), "{page}");
    }
    sample
        .run("import --sample -")
        .ended(2)
        .said("cannot be used with");
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
    assert_eq!(
        ran.err.lines().count(),
        2,
        "the message and its hint: {}",
        ran.err
    );
    assert!(
        ran.err.chars().count() < 1000 && !ran.err.contains('\u{1b}'),
        "{}",
        ran.err
    );
}
