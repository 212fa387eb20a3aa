//! Every case is shown to catch something: backends that are wrong in one way each.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::thread;

use crm_chat_conformance::{CASES, Case, check};

use crate::versions::{Flaw, Mode, VersionsHarness};

use Mode::{Optimistic, Pessimistic};

/// Each flaw, the mode that shows it, and cases that catch it.
const CAUGHT: &[(Flaw, Mode, &[&str])] = &[
    (
        Flaw::LostUpdate,
        Optimistic,
        &["r1_same_user_removed_twice_at_once", "r2_removal_beside_joining_again"],
    ),
    (Flaw::DirtyRead, Optimistic, &["r7_aborted_attempt_is_never_seen"]),
    (
        Flaw::WriteSkew,
        Optimistic,
        &[
            "r3_owner_beside_successor",
            "r4_right_revoked_in_flight",
            "r5_fact_undone_in_flight",
            "r6_write_skew",
        ],
    ),
    (
        Flaw::RefusalRollsBack,
        Optimistic,
        &["r11_refusal_commits_too", "r4_right_revoked_in_flight"],
    ),
    (Flaw::LiveReads, Optimistic, &["r6_reads_are_of_one_state"]),
    (Flaw::LastChatUnread, Optimistic, &["r5_last_chat_changed_in_flight"]),
    (Flaw::OwnerUnread, Optimistic, &["r3_succession_changed_in_flight"]),
    (Flaw::SuccessorUnread, Optimistic, &["r3_succession_changed_in_flight"]),
    (Flaw::MembersUnread, Optimistic, &["r3_succession_changed_in_flight"]),
    (Flaw::NumberedEarly, Optimistic, &["r12_log_is_followed"]),
    (Flaw::RowLocks, Optimistic, &["r9_batches_in_opposite_orders"]),
    (
        Flaw::NoRollbackOnDrop,
        Pessimistic,
        &[
            "r7_aborted_attempt_leaves_nothing",
            "r7_aborted_batch_leaves_nothing",
            "r8_cancelled_call",
            "k3_failure_before_a_call",
            "k3_failure_after_a_call",
            "k3_failure_in_a_batch",
        ],
    ),
    (Flaw::LockLeft, Pessimistic, &["r8_cancelled_begin", "r8_cancelled_call"]),
    (Flaw::CommitInTwoSteps, Pessimistic, &["r8_cancelled_commit"]),
    (Flaw::FailureIsAbsence, Pessimistic, &["n4_storage_failure_is_no_refusal"]),
    (Flaw::RecordWithoutChange, Pessimistic, &["n5_no_row_is_no_success"]),
    (Flaw::RecordOfAQuestion, Pessimistic, &["d2_odd_values_are_refused"]),
    (Flaw::ChangeWithoutRecord, Pessimistic, &["r10_many_callers", "o4_member_leaves_owner_stays"]),
    (Flaw::AlikeRecordsAreOne, Pessimistic, &["d1_dump_equals_what_was_loaded"]),
    (Flaw::NumberedFromElsewhere, Pessimistic, &["d1_dump_equals_what_was_loaded"]),
    (Flaw::MembersCut, Pessimistic, &["d1_dump_equals_what_was_loaded"]),
    (Flaw::RecordWithoutTime, Pessimistic, &["o4_member_leaves_owner_stays"]),
    (Flaw::OwnerMovedFirst, Pessimistic, &["o3_refusal_leaves_the_owner"]),
    (
        Flaw::OwnerMayBeABot,
        Pessimistic,
        &["o1_earliest_active_human_succeeds", "o2_nobody_else_may_own"],
    ),
    (Flaw::OwnerByLowestId, Pessimistic, &["o1_earliest_active_human_succeeds"]),
    (Flaw::OwnerByLaterJoining, Pessimistic, &["o1_earliest_active_human_succeeds"]),
    (Flaw::OwnerFromOldMembers, Pessimistic, &["k1_one_of_ten_refused"]),
    (Flaw::OwnerMovedByMembers, Pessimistic, &["o4_member_leaves_owner_stays"]),
    (Flaw::OwnerStays, Pessimistic, &["o2_nobody_else_may_own", "o5_last_member_leaves"]),
    (Flaw::OwnerRemembered, Pessimistic, &["o6_former_owner_returns_as_member"]),
    (Flaw::LinksGoWithTheLast, Pessimistic, &["o5_last_member_leaves"]),
    (Flaw::LeavesAllChats, Pessimistic, &["n3_only_the_named_chat_is_left"]),
    (
        Flaw::EverybodyIsAMember,
        Pessimistic,
        &["n1_stranger_is_refused", "n2_second_removal_in_a_row", "k2_same_request_twice"],
    ),
    (Flaw::WriteAlwaysSucceeds, Pessimistic, &["n5_no_row_is_no_success"]),
    (Flaw::InactiveCounts, Pessimistic, &["u1_inactive_user_is_refused"]),
    (Flaw::BotsAreNoMembers, Pessimistic, &["u4_rules_apply_to_all_alike"]),
    (Flaw::AccessCachedAcrossUsers, Pessimistic, &["u2_answers_do_not_depend_on_who_asked_before"]),
    (Flaw::AccessIsRight, Pessimistic, &["u3_rights_are_separate"]),
    (Flaw::AccessThroughChat, Pessimistic, &["e1_named_entity_decides"]),
    (Flaw::KindIgnored, Pessimistic, &["d3_equal_numbers_are_not_the_same_thing"]),
    (Flaw::IdsCut, Pessimistic, &["d1_ids_are_exact", "d1_dump_equals_what_was_loaded"]),
    (Flaw::AccessRounded, Pessimistic, &["d1_ids_are_told_apart"]),
    (Flaw::RelinkedKeepsPlace, Pessimistic, &["e2_newest_link_is_last"]),
    (Flaw::RightsComeBack, Pessimistic, &["e6_deleted_chat_leaves_nothing"]),
    (Flaw::JoinsTwice, Pessimistic, &["e6_edits_do_what_they_say"]),
    (Flaw::AnyLastChat, Pessimistic, &["e3_no_chat"]),
    (Flaw::AnyLink, Pessimistic, &["e4_chat_elsewhere"]),
    (Flaw::MessengerAssumed, Pessimistic, &["e5_messenger_comes_first", "e6_earlier_rule_decides"]),
];

#[test]
fn each_flaw_is_caught_by_its_cases() {
    thread::scope(|scope| {
        for (flaw, mode, cases) in CAUGHT {
            scope.spawn(|| cases.iter().for_each(|name| is_caught(*flaw, *mode, name)));
        }
    });
}

fn is_caught(flaw: Flaw, mode: Mode, name: &str) {
    let account = account(flaw, mode, name);
    let case = CASES.iter().find(|case| case.name == name);
    let Case { id, law, .. } = case.expect("the case is listed");
    let names_the_law = account.starts_with(&format!("{id}: {law}\n"));
    assert!(names_the_law, "{name} on {flaw:?} says: {account}");
}

/// What a case says of a flawed backend.
fn account(flaw: Flaw, mode: Mode, name: &str) -> String {
    let harness = VersionsHarness { mode, flaw: Some(flaw) };
    match catch_unwind(|| check(harness, name)) {
        Ok(()) => panic!("{name} does not catch {flaw:?}"),
        Err(panic) => *panic.downcast().expect("the account is a text"),
    }
}

/// Law, world, what was asked, what was expected and what came.
#[test]
fn an_account_can_be_pasted_into_a_test() {
    let account = account(Flaw::RelinkedKeepsPlace, Pessimistic, "e2_newest_link_is_last");
    let parts = [
        "E2: the last chat of an entity is that of its newest link, and a link made again is the newest\n\n",
        r#"let world = world(r#"{"users":[{"id":1,"active":true,"kind":"human"},"#,
        r##"harness.edit(&observer, &edit(r#"{"link":{"entity":{"type":"deal","id":288},"chat":8800}}"#)).await; // Ok(())"##,
        r#"remove_user(&store, user(1), &Removal::new(entity("deal:288"), user(3)).if_absent(IfAbsent::Accept)).await; // "#,
        "\n\nexpected: the answer: Ok(Ok(AlreadyAbsent { chat: ChatId(8800) }))",
        "\n    came: Ok(Ok(AlreadyAbsent { chat: ChatId(8773) }))",
    ];
    let mut rest = account.as_str();
    for part in parts {
        let place = rest.find(part);
        let place = place.unwrap_or_else(|| panic!("`{part}` is missing in order:\n{account}"));
        rest = &rest[place + part.len()..];
    }
}

#[test]
fn an_account_of_a_race_says_whether_the_sides_met() {
    let case = "r1_same_user_removed_twice_at_once";
    let account = account(Flaw::LostUpdate, Optimistic, case);
    assert!(account.contains("// the two ran at once and met (at "), "{account}");
}

#[test]
fn an_account_of_a_case_that_never_ends_says_what_was_done() {
    let account = account(Flaw::LockLeft, Pessimistic, "r8_cancelled_call");
    let done = "let observer = harness.connect(&place).await;\n\
                let store = Faulty::new(harness.connect(&place).await);\n\
                store.inject(1, Fault::StallAfter(Gate::default()));\n";
    assert!(account.contains(done), "{account}");
    assert!(account.contains("came: none within 4s: a lock was left"), "{account}");
}

#[test]
fn every_case_catches_a_flaw() {
    let catching: BTreeSet<_> =
        CAUGHT.iter().flat_map(|(.., cases)| cases.iter().copied()).collect();
    let all: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching, all);
}

/// The table of docs/testing.md.
#[test]
fn the_page_of_testing_tells_which_case_catches_which_flaw() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/testing.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (flaw, _, cases) in CAUGHT {
        let start = format!("| `{flaw:?}` | ");
        let end = format!(" | `{}` |", cases.join("`, `"));
        let told = page.lines().any(|row| row.starts_with(&start) && row.ends_with(&end));
        assert!(told, "no row: {start}…{end}");
    }
}
