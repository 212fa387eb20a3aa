//! Proof that every case catches something: backends that are wrong in one way each.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::thread;

use crm_chat_conformance::{CASES, Case, run_named_case};

use crate::versions::{Flaw, Mode, VersionsHarness};

use Mode::{Optimistic, Pessimistic};

/// A seeded flaw, the mode in which it shows, and the cases that catch it.
struct CaughtFlaw {
    flaw: Flaw,
    mode: Mode,
    cases: &'static [&'static str],
}

const CAUGHT: &[CaughtFlaw] = &[
    CaughtFlaw {
        flaw: Flaw::LostUpdate,
        mode: Optimistic,
        cases: &["r1_same_user_removed_twice_at_once", "r2_removal_concurrent_with_join"],
    },
    CaughtFlaw {
        flaw: Flaw::DirtyRead,
        mode: Optimistic,
        cases: &["r7_aborted_attempt_is_never_visible"],
    },
    CaughtFlaw {
        flaw: Flaw::WriteSkew,
        mode: Optimistic,
        cases: &[
            "r3_owner_and_successor_removed_at_once",
            "r4_right_revoked_in_flight",
            "r5_fact_undone_in_flight",
            "r6_write_skew",
        ],
    },
    CaughtFlaw {
        flaw: Flaw::ReadsNotCertified,
        mode: Optimistic,
        cases: &["r11_refusals_are_serialized_too", "r4_right_revoked_in_flight"],
    },
    CaughtFlaw {
        flaw: Flaw::LiveReads,
        mode: Optimistic,
        cases: &["r6_reads_come_from_one_snapshot"],
    },
    CaughtFlaw {
        flaw: Flaw::LastChatUnread,
        mode: Optimistic,
        cases: &["r5_last_chat_changed_in_flight"],
    },
    CaughtFlaw {
        flaw: Flaw::OwnerUnread,
        mode: Optimistic,
        cases: &["r3_succession_changed_in_flight"],
    },
    CaughtFlaw {
        flaw: Flaw::SuccessorUnread,
        mode: Optimistic,
        cases: &["r3_succession_changed_in_flight"],
    },
    CaughtFlaw {
        flaw: Flaw::MembersUnread,
        mode: Optimistic,
        cases: &["r3_succession_changed_in_flight"],
    },
    CaughtFlaw {
        flaw: Flaw::NumberedEarly,
        mode: Optimistic,
        cases: &["r12_log_reader_misses_no_record"],
    },
    CaughtFlaw {
        flaw: Flaw::RowLocks,
        mode: Optimistic,
        cases: &["r9_batches_in_opposite_orders"],
    },
    CaughtFlaw {
        flaw: Flaw::NoRollbackOnDrop,
        mode: Pessimistic,
        cases: &[
            "r7_aborted_attempt_leaves_nothing",
            "r7_aborted_batch_leaves_nothing",
            "r8_cancelled_call",
            "k3_failure_before_a_call",
            "k3_failure_after_a_call",
            "k3_failure_in_a_batch",
        ],
    },
    CaughtFlaw {
        flaw: Flaw::LockLeaked,
        mode: Pessimistic,
        cases: &["r8_cancelled_begin", "r8_cancelled_call"],
    },
    CaughtFlaw { flaw: Flaw::CommitInTwoSteps, mode: Pessimistic, cases: &["r8_cancelled_commit"] },
    CaughtFlaw {
        flaw: Flaw::FailureIsAbsence,
        mode: Pessimistic,
        cases: &["n4_storage_failure_is_not_a_refusal"],
    },
    CaughtFlaw {
        flaw: Flaw::RecordWithoutChange,
        mode: Pessimistic,
        cases: &["n5_write_without_effect_is_not_a_success"],
    },
    CaughtFlaw {
        flaw: Flaw::QueryRecorded,
        mode: Pessimistic,
        cases: &["d2_invalid_values_are_refused"],
    },
    CaughtFlaw {
        flaw: Flaw::ChangeWithoutRecord,
        mode: Pessimistic,
        cases: &["r10_many_callers_are_linearizable", "o4_owner_stays_when_member_is_removed"],
    },
    CaughtFlaw {
        flaw: Flaw::EqualRecordsMerged,
        mode: Pessimistic,
        cases: &["d1_dump_equals_what_was_loaded"],
    },
    CaughtFlaw {
        flaw: Flaw::NumbersStartElsewhere,
        mode: Pessimistic,
        cases: &["d1_dump_equals_what_was_loaded"],
    },
    CaughtFlaw {
        flaw: Flaw::MembersCut,
        mode: Pessimistic,
        cases: &["d1_dump_equals_what_was_loaded"],
    },
    CaughtFlaw {
        flaw: Flaw::RecordWithoutTime,
        mode: Pessimistic,
        cases: &["o4_owner_stays_when_member_is_removed"],
    },
    CaughtFlaw {
        flaw: Flaw::OwnerMovedBeforeRules,
        mode: Pessimistic,
        cases: &["o3_refusal_keeps_owner"],
    },
    CaughtFlaw {
        flaw: Flaw::BotMayOwn,
        mode: Pessimistic,
        cases: &["o1_earliest_active_human_succeeds", "o2_ineligible_members_never_own"],
    },
    CaughtFlaw {
        flaw: Flaw::OwnerByLowestId,
        mode: Pessimistic,
        cases: &["o1_earliest_active_human_succeeds"],
    },
    CaughtFlaw {
        flaw: Flaw::OnlyLaterMembersSucceed,
        mode: Pessimistic,
        cases: &["o1_earliest_active_human_succeeds"],
    },
    CaughtFlaw {
        flaw: Flaw::SuccessorFromStaleMembers,
        mode: Pessimistic,
        cases: &["k1_one_of_ten_refused"],
    },
    CaughtFlaw {
        flaw: Flaw::AnyRemovalMovesOwner,
        mode: Pessimistic,
        cases: &["o4_owner_stays_when_member_is_removed"],
    },
    CaughtFlaw {
        flaw: Flaw::OwnerStays,
        mode: Pessimistic,
        cases: &["o2_ineligible_members_never_own", "o5_last_member_leaves"],
    },
    CaughtFlaw {
        flaw: Flaw::OwnerRemembered,
        mode: Pessimistic,
        cases: &["o6_former_owner_returns_as_member"],
    },
    CaughtFlaw {
        flaw: Flaw::LinksDeletedWithLastMember,
        mode: Pessimistic,
        cases: &["o5_last_member_leaves"],
    },
    CaughtFlaw {
        flaw: Flaw::LeavesAllChats,
        mode: Pessimistic,
        cases: &["n3_only_the_named_chat_is_left"],
    },
    CaughtFlaw {
        flaw: Flaw::EveryoneIsMember,
        mode: Pessimistic,
        cases: &["n1_stranger_is_refused", "n2_second_removal_in_a_row", "k2_same_request_twice"],
    },
    CaughtFlaw {
        flaw: Flaw::WriteAlwaysSucceeds,
        mode: Pessimistic,
        cases: &["n5_write_without_effect_is_not_a_success"],
    },
    CaughtFlaw {
        flaw: Flaw::InactiveCounts,
        mode: Pessimistic,
        cases: &["u1_inactive_user_is_refused"],
    },
    CaughtFlaw {
        flaw: Flaw::BotsNotMembers,
        mode: Pessimistic,
        cases: &["u4_self_bots_and_external_users_follow_the_same_rules"],
    },
    CaughtFlaw {
        flaw: Flaw::AccessCachedAcrossUsers,
        mode: Pessimistic,
        cases: &["u2_rights_are_checked_per_actor"],
    },
    CaughtFlaw {
        flaw: Flaw::AccessImpliesRight,
        mode: Pessimistic,
        cases: &["u3_rights_are_separate"],
    },
    CaughtFlaw {
        flaw: Flaw::AccessThroughChat,
        mode: Pessimistic,
        cases: &["e1_named_entity_decides"],
    },
    CaughtFlaw {
        flaw: Flaw::KindIgnored,
        mode: Pessimistic,
        cases: &["d3_equal_numbers_of_different_kinds_are_distinct"],
    },
    CaughtFlaw {
        flaw: Flaw::IdsCut,
        mode: Pessimistic,
        cases: &["d1_ids_are_exact", "d1_dump_equals_what_was_loaded"],
    },
    CaughtFlaw {
        flaw: Flaw::AccessRounded,
        mode: Pessimistic,
        cases: &["d1_similar_ids_are_distinguished"],
    },
    CaughtFlaw {
        flaw: Flaw::RelinkKeepsPosition,
        mode: Pessimistic,
        cases: &["e2_newest_link_is_last_chat"],
    },
    CaughtFlaw {
        flaw: Flaw::RightsRevive,
        mode: Pessimistic,
        cases: &["e6_deleted_chat_leaves_nothing"],
    },
    CaughtFlaw {
        flaw: Flaw::JoinsTwice,
        mode: Pessimistic,
        cases: &["e6_edits_have_their_documented_effect"],
    },
    CaughtFlaw { flaw: Flaw::AnyLastChat, mode: Pessimistic, cases: &["e3_no_chat"] },
    CaughtFlaw { flaw: Flaw::AnyLink, mode: Pessimistic, cases: &["e4_chat_linked_elsewhere"] },
    CaughtFlaw {
        flaw: Flaw::MessengerAssumed,
        mode: Pessimistic,
        cases: &["e5_messenger_comes_first", "e6_earlier_rule_decides"],
    },
];

#[test]
fn each_flaw_is_caught_by_its_cases() {
    thread::scope(|scope| {
        for CaughtFlaw { flaw, mode, cases } in CAUGHT {
            scope.spawn(|| cases.iter().for_each(|name| assert_caught(*flaw, *mode, name)));
        }
    });
}

fn assert_caught(flaw: Flaw, mode: Mode, name: &str) {
    let report = report_of(flaw, mode, name);
    let case = CASES.iter().find(|case| case.name == name);
    let Case { id, law, .. } = case.expect("the case is listed");
    let names_the_law = report.starts_with(&format!("{id}: {law}\n"));
    assert!(names_the_law, "{name} on {flaw:?} reports: {report}");
}

/// Returns the report of a case that fails on a flawed backend.
fn report_of(flaw: Flaw, mode: Mode, name: &str) -> String {
    let harness = VersionsHarness { mode, flaw: Some(flaw) };
    match catch_unwind(|| run_named_case(harness, name)) {
        Ok(()) => panic!("{name} does not catch {flaw:?}"),
        Err(panic) => *panic.downcast().expect("the report is a string"),
    }
}

/// The law, the world, the transcript, and the expected and actual value.
#[test]
fn report_can_be_pasted_into_a_test() {
    let report = report_of(Flaw::RelinkKeepsPosition, Pessimistic, "e2_newest_link_is_last_chat");
    let parts = [
        "E2: the last chat of an entity is that of its newest link, and linking a chat again makes its link the newest\n\n",
        r#"let world = world(r#"{"users":[{"id":1,"active":true,"kind":"human"},"#,
        r##"harness.edit(&observer, &edit(r#"{"link":{"entity":{"type":"deal","id":288},"chat":8800}}"#)).await; // Ok(())"##,
        r#"remove_user(&store, user(1), &Removal::new(entity("deal:288"), user(3)).if_absent(IfAbsent::Accept)).await; // "#,
        "\n\nexpected: the answer: Ok(Ok(AlreadyAbsent { chat: ChatId(8800) }))",
        "\n  actual: Ok(Ok(AlreadyAbsent { chat: ChatId(8773) }))",
    ];
    let mut rest = report.as_str();
    for part in parts {
        let start = rest.find(part);
        let start = start.unwrap_or_else(|| panic!("`{part}` is missing in order:\n{report}"));
        rest = &rest[start + part.len()..];
    }
}

#[test]
fn report_of_a_race_says_whether_the_participants_met() {
    let case = "r1_same_user_removed_twice_at_once";
    let report = report_of(Flaw::LostUpdate, Optimistic, case);
    assert!(report.contains("// the two ran concurrently and met (at "), "{report}");
}

#[test]
fn report_of_a_case_that_hangs_has_the_transcript() {
    let report = report_of(Flaw::LockLeaked, Pessimistic, "r8_cancelled_call");
    let transcript = "let observer = harness.connect(&fixture).await;\n\
                      let store = Faulty::new(harness.connect(&fixture).await);\n\
                      store.inject(1, Fault::StallAfter(Gate::default()));\n";
    assert!(report.contains(transcript), "{report}");
    assert!(report.contains("actual: no step within 4s: a lock was leaked"), "{report}");
}

#[test]
fn every_case_catches_a_flaw() {
    let catching: BTreeSet<_> = CAUGHT.iter().flat_map(|caught| caught.cases).copied().collect();
    let all: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(catching, all);
}

/// The table of flaws in docs/testing.md.
#[test]
fn testing_page_lists_each_flaw_with_its_cases() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/testing.md");
    let page = std::fs::read_to_string(page).unwrap();
    for CaughtFlaw { flaw, cases, .. } in CAUGHT {
        let start = format!("| `{flaw:?}` | ");
        let end = format!(" | `{}` |", cases.join("`, `"));
        let mut rows = page.lines();
        let listed = rows.any(|row| row.starts_with(&start) && row.ends_with(&end));
        assert!(listed, "no row: {start}…{end}");
    }
}
