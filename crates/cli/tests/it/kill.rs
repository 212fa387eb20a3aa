//! A program that is stopped in the middle leaves a whole store.

#![cfg(unix)]

use std::io::Write;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apply::{Conversation, crowd, leave};
use crate::place::{Place, WORLD};

const SIGNALS: [&str; 2] = ["-INT", "-KILL"];

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn apply_stopped_at_any_answer_keeps_what_it_answered_and_no_half() {
    const MEMBERS: u64 = 3000;
    for signal in SIGNALS {
        for stop_after in [0, 1, 100, 1500] {
            let place = Place::holding(&crowd(MEMBERS));
            let mut apply = Conversation::with(&place);
            let mut ask = apply.ask.take().unwrap();
            // It is killed meanwhile: that its input breaks off is meant.
            let asking = thread::spawn(move || {
                (2..MEMBERS + 2).all(|user| ask.write_all(leave(user).as_bytes()).is_ok())
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
            asking.join().unwrap();

            let removed: Vec<u64> =
                place.log().iter().map(|record| record["user"].as_u64().unwrap()).collect();
            let count = removed.len() as u64;
            assert!(answered <= count, "{answered} answered, {count} recorded");
            assert_eq!(removed, (2..count + 2).collect::<Vec<_>>(), "those asked first, each once");
            let left = place.content()["chats"][0]["members"].clone();
            assert_eq!(
                left,
                json!((count + 2..MEMBERS + 2).collect::<Vec<_>>()),
                "and no longer members"
            );
        }
    }
}

#[test]
fn import_stopped_at_any_time_keeps_the_old_or_the_new() {
    let big = Place::holding(&crowd(20_000));
    let after = big.export();
    for signal in SIGNALS {
        for pause in [0, 10, 40, 100, 200, 400] {
            let place = Place::holding(WORLD);
            let before = place.export();
            place.write("big.json", &after);
            let mut import = place.program(["import", "--replace", "big.json"]).spawn().unwrap();
            thread::sleep(Duration::from_millis(pause));
            // It may be through already.
            let _ = Command::new("kill").args([signal, &import.id().to_string()]).output();
            import.wait().unwrap();
            let content = place.export();
            assert!(content == before || content == after, "{signal} after {pause} ms: a mixture");
        }
    }
}

#[test]
fn import_stopped_while_it_creates_leaves_none_or_an_empty_or_the_new() {
    let empty: Value = serde_json::from_str(&Place::holding("{}").export()).unwrap();
    let new: Value = serde_json::from_str(&Place::holding(WORLD).export()).unwrap();
    for pause in [0, 2, 4, 6, 8, 12, 16, 24] {
        let place = Place::empty();
        place.write("world.json", WORLD);
        let mut import = place.program(["import", "world.json"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(pause));
        import.kill().unwrap();
        import.wait().unwrap();
        // A file that SQLite had opened and not yet written is empty, and no store.
        if place.path("crm-chat.db").metadata().is_ok_and(|file| file.len() > 0) {
            let content = place.content();
            assert!(content == empty || content == new, "after {pause} ms: {content}");
        }
        place.feed("import --replace", WORLD).succeeded();
        assert_eq!(place.content(), new);
    }
}
