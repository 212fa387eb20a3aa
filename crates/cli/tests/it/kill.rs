//! Commands that are interrupted or killed leave a consistent store.

#![cfg(unix)]

use std::io::Write;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apply::{ApplyProcess, chat_with_members, request_to_remove};
use crate::support::{TestDir, WORLD};

const SIGNALS: [&str; 2] = ["-INT", "-KILL"];

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn apply_stopped_after_any_answer_keeps_every_answered_removal_completely() {
    const MEMBERS: u64 = 3000;
    for signal in SIGNALS {
        for stop_after in [0, 1, 100, 1500] {
            let dir = TestDir::with_store(&chat_with_members(MEMBERS));
            let mut apply = ApplyProcess::start(&dir);
            let mut stdin = apply.stdin.take().unwrap();
            // Writing fails once the process has been killed.
            let writer = thread::spawn(move || {
                (2..MEMBERS + 2)
                    .all(|user| stdin.write_all(request_to_remove(user).as_bytes()).is_ok())
            });
            let mut answered = 0;
            while answered < stop_after && apply.answer() == Some(json!(1)) {
                answered += 1;
            }
            send(signal, &apply.child);
            while apply.answer() == Some(json!(1)) {
                answered += 1;
            }
            apply.child.wait().unwrap();
            writer.join().unwrap();

            let removed: Vec<u64> =
                dir.removal_log().iter().map(|record| record["user"].as_u64().unwrap()).collect();
            let count = removed.len() as u64;
            assert!(answered <= count, "{answered} answered, {count} recorded");
            assert_eq!(
                removed,
                (2..count + 2).collect::<Vec<_>>(),
                "the first requests, each once"
            );
            let left = dir.export_json()["chats"][0]["members"].clone();
            assert_eq!(
                left,
                json!((count + 2..MEMBERS + 2).collect::<Vec<_>>()),
                "the removed users are no longer members"
            );
        }
    }
}

#[test]
fn import_stopped_at_any_time_keeps_the_old_or_the_new_content() {
    let large = TestDir::with_store(&chat_with_members(20_000));
    let after = large.export();
    for signal in SIGNALS {
        for pause in [0, 10, 40, 100, 200, 400] {
            let dir = TestDir::with_store(WORLD);
            let before = dir.export();
            dir.write("large.json", &after);
            let mut import = dir.command(["import", "--replace", "large.json"]).spawn().unwrap();
            thread::sleep(Duration::from_millis(pause));
            // The import may have ended already.
            let _ = Command::new("kill").args([signal, &import.id().to_string()]).output();
            import.wait().unwrap();
            let content = dir.export();
            assert!(
                content == before || content == after,
                "{signal} after {pause} ms: a mixture of both"
            );
        }
    }
}

#[test]
fn import_stopped_while_creating_leaves_no_store_or_an_empty_or_a_full_one() {
    let empty: Value = serde_json::from_str(&TestDir::with_store("{}").export()).unwrap();
    let new: Value = serde_json::from_str(&TestDir::with_store(WORLD).export()).unwrap();
    for pause in [0, 2, 4, 6, 8, 12, 16, 24] {
        let dir = TestDir::empty();
        dir.write("world.json", WORLD);
        let mut import = dir.command(["import", "world.json"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(pause));
        import.kill().unwrap();
        import.wait().unwrap();
        // A file that SQLite has created but not yet written is empty, and not a store.
        if dir.path("crm-chat.db").metadata().is_ok_and(|file| file.len() > 0) {
            let content = dir.export_json();
            assert!(content == empty || content == new, "after {pause} ms: {content}");
        }
        dir.run_with_stdin("import --replace", WORLD).assert_success();
        assert_eq!(dir.export_json(), new);
    }
}
