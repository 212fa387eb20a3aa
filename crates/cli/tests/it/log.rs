//! `log`: epochs, positions and pruning.

use serde_json::json;

use crate::support::{TestDir, WORLD};

/// Creates a store whose log has records 1 to `count`.
fn store_with_log(count: usize) -> TestDir {
    let record = json!({"chat": 1, "user": 2, "actor": 3, "entity": {"type": "lead", "id": 4}});
    TestDir::with_store(&json!({"removals": vec![record; count]}).to_string())
}

/// Returns the epoch of the log, and asserts that every line has it.
#[track_caller]
fn epoch(dir: &TestDir) -> String {
    let log = dir.removal_log();
    let epoch = log[0]["epoch"].as_str().unwrap();
    assert!(log.iter().all(|line| line["epoch"] == epoch), "{log:?}");
    epoch.to_owned()
}

/// Returns the sequence numbers that `log` prints.
#[track_caller]
fn numbers(dir: &TestDir, options: &str) -> Vec<u64> {
    let line = format!("log {options}");
    let lines = dir.run(line.trim_end()).assert_success().json_lines();
    let number = |line: &serde_json::Value| line["sequence"].as_u64().unwrap();
    lines.iter().map(number).collect()
}

#[test]
fn log_line_has_all_fields_of_a_record_and_its_epoch() {
    let dir = TestDir::with_store(
        r#"{"removals": [{"chat": 6, "user": 9, "actor": 1, "entity": {"type": "lead", "id": 3},
            "new_owner": 4, "recorded_at": "2026-11-22T09:12:41Z"}]}"#,
    );
    let expected = format!(
        "{{\"epoch\":\"{}\",\"sequence\":1,\"chat\":6,\"user\":9,\"actor\":1,\
         \"entity\":{{\"type\":\"lead\",\"id\":3}},\"new_owner\":4,\
         \"recorded_at\":\"2026-11-22T09:12:41Z\"}}\n",
        epoch(&dir)
    );
    dir.run("log").assert_success().assert_stdout(&expected);
}

#[test]
fn epoch_lasts_until_a_document_is_imported() {
    let dir = store_with_log(2);
    let first = epoch(&dir);
    dir.run_with_stdin("edit", r#"{"add_user": {"id": 1, "active": true}}"#).assert_success();
    assert_eq!(epoch(&dir), first);
    assert_eq!(numbers(&dir, &format!("--epoch {first} --after 1")), [2]);

    let document = dir.export();
    dir.run_with_stdin("import --replace", document).assert_success();
    let second = epoch(&dir);
    assert_ne!(first, second);
    dir.run(&format!("log --epoch {first} --after 1"))
        .assert_status(1)
        .assert_stderr_has(&format!("refused: the log's epoch is {second}: "))
        .assert_stderr_has(&format!(
            "hint: read the store again with `crm-chat export`, then the log with \
             `crm-chat log --epoch {second}`"
        ))
        .assert_stdout("");
    assert_eq!(numbers(&dir, &format!("--epoch {second}")), [1, 2]);
}

#[test]
fn position_beyond_the_end_of_the_log_is_refused() {
    for count in [0, 2] {
        let dir = store_with_log(count);
        assert_eq!(numbers(&dir, &format!("--after {count}")), [] as [u64; 0]);
        for after in [count as u64 + 1, u64::MAX] {
            let finished = dir.run(&format!("log --after {after}")).assert_status(1);
            finished.assert_stdout("").assert_stderr_has(&format!(
                "refused: there is no record {after}: {count} is the last number of this epoch\n\
                 hint: "
            ));
        }
    }
}

#[test]
fn pruning_keeps_numbers_and_follower_is_refused_if_it_missed_records() {
    let dir = store_with_log(5);
    let epoch = epoch(&dir);
    let finished = dir.run("log prune --before 4").assert_success().assert_stdout("");
    finished.assert_stderr_has("pruned 3 log records");
    assert_eq!(numbers(&dir, ""), [4, 5]);
    assert_eq!(numbers(&dir, &format!("--epoch {epoch} --after 3")), [4, 5]);
    assert_eq!(numbers(&dir, "--after 4"), [5]);
    for after in [1, 2] {
        let finished = dir.run(&format!("log --after {after}")).assert_status(1);
        finished.assert_stdout("").assert_stderr_has(&format!(
            "refused: records after {after} are gone: the log was pruned up to 3\n\
             hint: `--after 3` prints the remaining records"
        ));
    }

    dir.run("log prune --before 4").assert_stderr_has("pruned 0 log records").assert_success();
    dir.run("log prune --before 100").assert_stderr_has("pruned 2 log records").assert_success();
    assert_eq!(numbers(&dir, "--after 5"), [] as [u64; 0]);
    dir.run("log --after 4").assert_status(1).assert_stderr_has("are gone");
    dir.run("log --after 6").assert_status(1).assert_stderr_has("there is no record 6");
}

#[test]
fn numbers_continue_after_all_records_were_pruned() {
    let dir = TestDir::with_store(WORLD);
    for user in [12, 7] {
        dir.run(&format!("remove --actor 1 --entity deal:288 --user {user}")).assert_success();
    }
    dir.run("log prune --before 3").assert_stderr_has("pruned 2").assert_success();
    dir.run("remove --actor 1 --entity deal:288 --user 15").assert_success();
    assert_eq!(numbers(&dir, "--after 2"), [3]);
}

#[test]
fn options_of_log_are_rejected_with_prune() {
    let dir = store_with_log(3);
    for line in [
        "log --after 1 prune --before 2",
        "log --epoch x prune --before 2",
        "log prune",
        "log prune --before -1",
        "log prune --before 2 --after 1",
    ] {
        dir.run(line).assert_status(2).assert_stdout("");
    }
    assert_eq!(numbers(&dir, ""), [1, 2, 3]);
    for line in [
        "--store sqlite:crm-chat.db log prune --before 2",
        "log --store sqlite:crm-chat.db prune --before 3",
        "log prune --before 4 --store sqlite:crm-chat.db",
    ] {
        dir.run(line).assert_success().assert_stderr_has("pruned 1 log record\n");
    }
    let help = dir.run("log prune --help").assert_success().stdout;
    assert_eq!(help.lines().find(|line| line.chars().count() > 80), None);
}
