//! `log`, for followers whose place may be lost.

use serde_json::json;

use crate::place::{Place, WORLD};

/// A store whose log has records 1 to `count`.
fn with_log(count: usize) -> Place {
    let record = json!({"chat": 1, "user": 2, "actor": 3, "entity": {"type": "lead", "id": 4}});
    Place::holding(&json!({"removals": vec![record; count]}).to_string())
}

/// The epoch that every line of the log has.
#[track_caller]
fn epoch(place: &Place) -> String {
    let log = place.log();
    let epoch = log[0]["epoch"].as_str().unwrap();
    assert!(log.iter().all(|line| line["epoch"] == epoch), "{log:?}");
    epoch.to_owned()
}

/// The numbers that `log` prints with these options.
#[track_caller]
fn numbers(place: &Place, options: &str) -> Vec<u64> {
    let line = format!("log {options}");
    let lines = place.run(line.trim_end()).succeeded().lines();
    let number = |line: &serde_json::Value| line["sequence"].as_u64().unwrap();
    lines.iter().map(number).collect()
}

#[test]
fn line_of_the_log_has_all_of_a_record_and_its_epoch() {
    let place = Place::holding(
        r#"{"removals": [{"chat": 6, "user": 9, "actor": 1, "entity": {"type": "lead", "id": 3},
            "new_owner": 4, "recorded_at": "2026-11-22T09:12:41Z"}]}"#,
    );
    let expected = format!(
        "{{\"epoch\":\"{}\",\"sequence\":1,\"chat\":6,\"user\":9,\"actor\":1,\
         \"entity\":{{\"type\":\"lead\",\"id\":3}},\"new_owner\":4,\
         \"recorded_at\":\"2026-11-22T09:12:41Z\"}}\n",
        epoch(&place)
    );
    place.run("log").succeeded().answered(&expected);
}

#[test]
fn epoch_lasts_until_a_document_is_imported() {
    let place = with_log(2);
    let first = epoch(&place);
    place.feed("edit", r#"{"add_user": {"id": 1, "active": true}}"#).succeeded();
    assert_eq!(epoch(&place), first);
    assert_eq!(numbers(&place, &format!("--epoch {first} --after 1")), [2]);

    let document = place.export();
    place.feed("import --replace", document).succeeded();
    let second = epoch(&place);
    assert_ne!(first, second);
    place
        .run(&format!("log --epoch {first} --after 1"))
        .ended(1)
        .said(&format!("refused: the log's epoch is {second}: "))
        .said(&format!(
            "hint: read the store anew, by `crm-chat export`, and then the log by \
             `crm-chat log --epoch {second}`"
        ))
        .answered("");
    assert_eq!(numbers(&place, &format!("--epoch {second}")), [1, 2]);
}

#[test]
fn place_beyond_the_end_of_the_log_is_refused() {
    for count in [0, 2] {
        let place = with_log(count);
        assert_eq!(numbers(&place, &format!("--after {count}")), [] as [u64; 0]);
        for after in [count as u64 + 1, u64::MAX] {
            let ran = place.run(&format!("log --after {after}")).ended(1);
            ran.answered("").said(&format!(
                "refused: there is no record {after}: {count} is the last number of this epoch\n\
                 hint: "
            ));
        }
    }
}

#[test]
fn pruning_keeps_the_numbers_and_a_follower_learns_what_it_missed() {
    let place = with_log(5);
    let epoch = epoch(&place);
    let ran = place.run("log prune --before 4").succeeded().answered("");
    ran.said("pruned 3 log records");
    assert_eq!(numbers(&place, ""), [4, 5]);
    assert_eq!(numbers(&place, &format!("--epoch {epoch} --after 3")), [4, 5]);
    assert_eq!(numbers(&place, "--after 4"), [5]);
    for after in [1, 2] {
        let ran = place.run(&format!("log --after {after}")).ended(1);
        ran.answered("").said(&format!(
            "refused: records after {after} are gone: the log was pruned up to 3\n\
             hint: `--after 3` prints what is left"
        ));
    }

    place.run("log prune --before 4").said("pruned 0 log records").succeeded();
    place.run("log prune --before 100").said("pruned 2 log records").succeeded();
    assert_eq!(numbers(&place, "--after 5"), [] as [u64; 0]);
    place.run("log --after 4").ended(1).said("are gone");
    place.run("log --after 6").ended(1).said("there is no record 6");
}

#[test]
fn numbers_go_on_after_all_records_were_pruned() {
    let place = Place::holding(WORLD);
    for user in [12, 7] {
        place.run(&format!("remove --actor 1 --entity deal:288 --user {user}")).succeeded();
    }
    place.run("log prune --before 3").said("pruned 2").succeeded();
    place.run("remove --actor 1 --entity deal:288 --user 15").succeeded();
    assert_eq!(numbers(&place, "--after 2"), [3]);
}

#[test]
fn options_of_log_and_prune_do_not_mix() {
    let place = with_log(3);
    for line in [
        "log --after 1 prune --before 2",
        "log --epoch x prune --before 2",
        "log prune",
        "log prune --before -1",
        "log prune --before 2 --after 1",
    ] {
        place.run(line).ended(2).answered("");
    }
    assert_eq!(numbers(&place, ""), [1, 2, 3]);
    for line in [
        "--store sqlite:crm-chat.db log prune --before 2",
        "log --store sqlite:crm-chat.db prune --before 3",
        "log prune --before 4 --store sqlite:crm-chat.db",
    ] {
        place.run(line).succeeded().said("pruned 1 log record\n");
    }
    let help = place.run("log prune --help").succeeded().out;
    assert_eq!(help.lines().find(|line| line.chars().count() > 80), None);
}
