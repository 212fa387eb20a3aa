//! K4: a process that is killed at any moment leaves every answered removal, and no half of one.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crm_chat_domain::{Outcome, remove_user};
use crm_chat_sqlite::Sqlite;

use crate::support::{Child, Place, assert_sound, block_on, log, removal, user, world};

const FILE: &str = "CRM_CHAT_TEST_KILLED";
const CALLERS: u8 = 16;
const USERS: i64 = 4000;

/// No law: the process that is killed by the test below. It removes users until nobody is left or it is killed, and
/// says whom after each answer.
#[test]
fn process_that_is_killed() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = block_on(Sqlite::open(Path::new(&file))).unwrap();
    let remove_every_nth = |first: i64| {
        for id in (first..2 + USERS).step_by(CALLERS.into()) {
            if let Ok(Outcome::Removed(_)) = block_on(remove_user(&store, user(1), &removal(id))) {
                println!("removed {id}");
            }
        }
    };
    thread::scope(|scope| {
        for first in 2..2 + i64::from(CALLERS) {
            scope.spawn(move || remove_every_nth(first));
        }
    });
}

#[test]
fn a_process_killed_at_any_moment_leaves_what_it_answered_and_no_half() {
    let kills = std::env::var("PROPTEST_CASES").map_or(100, |cases| cases.parse().unwrap());
    let mut place = Place::holding(&world(USERS));
    let mut answered = BTreeSet::new();
    for kill in 0..kills {
        answered.extend(run_and_kill(&place, Duration::from_micros(fastrand::u64(0..30_000))));
        let left = check(&place, &answered);
        if left < USERS / 4 {
            println!("{kill} kills, {} answers", answered.len());
            place = Place::holding(&world(USERS));
            answered.clear();
        }
    }
}

/// Runs the process until some time after its first answer, and returns whom it said to have removed.
fn run_and_kill(place: &Place, after: Duration) -> Vec<i64> {
    let mut child = Child::running("kill::process_that_is_killed", FILE, place.file())
        .command(|command| {
            command.stdout(Stdio::piped());
        })
        .start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut removed = Vec::new();
    let mut read = |line: std::io::Result<String>| {
        // A line is one write to the pipe: the kill cuts none off.
        if let Some(id) = line.unwrap().strip_prefix("removed ") {
            removed.push(id.parse().unwrap());
            return true;
        }
        false
    };
    while !read(lines.next().expect("the process ended before its first answer")) {}
    thread::sleep(after);
    child.kill().unwrap();
    lines.for_each(|line| {
        read(line);
    });
    child.wait().unwrap();
    removed
}

/// Checks a file after a kill, and returns how many members are left.
fn check(place: &Place, answered: &BTreeSet<i64>) -> i64 {
    let store = place.open();
    let records = block_on(log(&store)).unwrap();
    let recorded: BTreeSet<i64> = records.iter().map(|entry| entry.record.user.get()).collect();
    assert_eq!(recorded.len(), records.len(), "a user was recorded twice");
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "answered, but not in the file: {lost:?}");

    let chat = &block_on(store.dump()).unwrap().chats[0];
    let expected: Vec<_> = (2..2 + USERS).filter(|id| !recorded.contains(id)).map(user).collect();
    assert_eq!(chat.members, expected, "members and records differ");
    assert_eq!(chat.owner, expected.first().copied(), "the owner is not the first who is left");
    drop(store);
    assert_sound(&place.file());
    i64::try_from(expected.len()).unwrap()
}
