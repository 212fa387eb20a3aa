//! K4: after a process is killed at any moment, the file contains every removal that was reported
//! as successful, and no partial one.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crm_chat_domain::{Outcome, remove_user};
use crm_chat_sqlite::Sqlite;

use crate::support::{Child, TempStore, assert_sound, block_on, log, removal, user, world};

const FILE: &str = "CRM_CHAT_TEST_KILLED";
const CALLERS: u8 = 16;
const USERS: i64 = 4000;

/// Not a test by itself: runs in the process that the next test kills. Removes users until none is
/// left, and prints each one after it was removed.
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
fn killed_process_leaves_every_reported_removal_and_no_partial_one() {
    // PROPTEST_CASES sets the number of kills.
    let kills = std::env::var("PROPTEST_CASES").map_or(100, |cases| cases.parse().unwrap());
    let mut temp = TempStore::containing(&world(USERS));
    let mut reported = BTreeSet::new();
    for kill in 0..kills {
        reported.extend(run_and_kill(&temp, Duration::from_micros(fastrand::u64(0..30_000))));
        let left = assert_consistent(&temp, &reported);
        if left < USERS / 4 {
            println!("{kill} kills, {} removals", reported.len());
            temp = TempStore::containing(&world(USERS));
            reported.clear();
        }
    }
}

/// Kills the process some time after its first removal, and returns the removals that it reported.
fn run_and_kill(temp: &TempStore, after: Duration) -> Vec<i64> {
    let mut child = Child::running("kill::process_that_is_killed", FILE, temp.file())
        .command(|command| {
            command.stdout(Stdio::piped());
        })
        .start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut removed = Vec::new();
    let mut read = |line: std::io::Result<String>| {
        // Each line is one write to the pipe, so the kill cannot cut one off.
        if let Some(id) = line.unwrap().strip_prefix("removed ") {
            removed.push(id.parse().unwrap());
            return true;
        }
        false
    };
    while !read(lines.next().expect("the process ended before its first removal")) {}
    thread::sleep(after);
    child.kill().unwrap();
    lines.for_each(|line| {
        read(line);
    });
    child.wait().unwrap();
    removed
}

/// Checks a file after a kill, and returns the number of members left.
fn assert_consistent(temp: &TempStore, reported: &BTreeSet<i64>) -> i64 {
    let store = temp.open();
    let records = block_on(log(&store)).unwrap();
    let recorded: BTreeSet<i64> = records.iter().map(|entry| entry.record.user.get()).collect();
    assert_eq!(recorded.len(), records.len(), "a user was recorded twice");
    let lost: Vec<_> = reported.difference(&recorded).collect();
    assert!(lost.is_empty(), "reported, but not in the file: {lost:?}");

    let chat = &block_on(store.dump()).unwrap().chats[0];
    let expected: Vec<_> = (2..2 + USERS).filter(|id| !recorded.contains(id)).map(user).collect();
    assert_eq!(chat.members, expected, "members and records differ");
    assert_eq!(chat.owner, expected.first().copied(), "the owner is not the first member left");
    drop(store);
    assert_sound(&temp.file());
    i64::try_from(expected.len()).unwrap()
}
