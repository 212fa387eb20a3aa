//! The registry: one list of all cases, from which everything else is generated.

use super::cases;
use super::harness::Harness;
use super::runner::{Case, TestContext, run_case};

/// Passes the list of all cases to a macro. To add a case, write its function and add it here.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ($callback:path, $($argument:tt)*) => {
        $callback! { ($($argument)*)
            races {
                "R1" r1_same_user_removed_twice_at_once:
                    "of two concurrent removals of one user, one succeeds and the other finds the user absent";
                "R2" r2_removal_concurrent_with_join:
                    "a removal that runs while a user joins, the same user or another, takes effect before or after it";
                "R3" r3_owner_and_successor_removed_at_once:
                    "when the owner and the successor are removed concurrently, a member owns the chat or no eligible member is left";
                "R6" r6_write_skew:
                    "of two transactions that each read what the other writes, one sees the other's write, waits or conflicts";
                "R6" r6_reads_come_from_one_snapshot:
                    "all reads of a transaction come from one state, or the transaction does not commit";
                "R9" r9_batches_in_opposite_orders:
                    "batches that remove the same users in opposite orders do not deadlock";
                "R12" r12_log_reader_misses_no_record:
                    "a reader that follows the log sees each record once, in ascending order of number";
            }
            in_flight {
                "R3" r3_succession_changed_in_flight:
                    "a change of owner, or of who may succeed, during a removal is seen by it or takes effect after it";
                "R4" r4_right_revoked_in_flight:
                    "a right revoked during a removal is seen by it, or the revocation takes effect after it";
                "R5" r5_fact_undone_in_flight:
                    "a link, chat, active user or messenger that goes away during a removal is seen by it, or goes after it";
                "R5" r5_last_chat_changed_in_flight:
                    "a link added or deleted during a removal from the last chat is seen by it, or takes effect after it";
                "R11" r11_refusals_are_serialized_too:
                    "a removal does not commit on a right that a transaction ordered before it already saw revoked";
            }
            many_callers {
                "R10" r10_many_callers_are_linearizable:
                    "the answers to many concurrent callers have a serial order in which the rules give them";
            }
            conflicts {
                "R7" r7_aborted_attempt_leaves_nothing:
                    "a removal that conflicts is retried, and the aborted attempt leaves no effect";
                "R7" r7_aborted_batch_leaves_nothing:
                    "a batch that conflicts is retried as a whole, and the aborted attempt leaves no effect";
                "R7" r7_aborted_attempt_is_never_visible:
                    "uncommitted changes are not visible to other transactions";
            }
            cancelled {
                "R8" r8_cancelled_call:
                    "a removal that is dropped before its commit leaves no change, open transaction or lock";
                "R8" r8_cancelled_begin:
                    "a begin that is dropped while it waits leaves no open transaction or lock";
                "R8" r8_cancelled_commit:
                    "a commit that is dropped after its first poll takes effect completely or not at all";
            }
            failures {
                "K3" k3_failure_before_a_call:
                    "a removal whose n-th call fails before its effect changes nothing, reports it, and succeeds when repeated";
                "K3" k3_failure_after_a_call:
                    "a removal whose n-th call fails after its effect is complete or absent, reports it, and converges when repeated";
                "K3" k3_failure_in_a_batch:
                    "a batch in which any call fails takes effect completely or not at all";
                "N4" n4_storage_failure_is_not_a_refusal:
                    "a store that cannot read the membership reports a storage failure, not a refusal";
            }
            owner {
                "O1" o1_earliest_active_human_succeeds:
                    "when the owner is removed, ownership passes to the active human who joined earliest";
                "O2" o2_ineligible_members_never_own:
                    "a chat whose other members are bots, external, inactive or unknown has no owner once its owner is removed";
                "O3" o3_refusal_keeps_owner:
                    "a refused removal of the owner keeps the owner";
                "O4" o4_owner_stays_when_member_is_removed:
                    "the removal of a member who is not the owner does not change the owner";
                "O5" o5_last_member_leaves:
                    "a chat whose last member is removed is empty, has no owner, and keeps its links";
                "O6" o6_former_owner_returns_as_member:
                    "a former owner who joins again is an ordinary member, the last to have joined";
            }
            members {
                "N1" n1_stranger_is_refused:
                    "a user who is not a member, or not known, is refused, and nothing is recorded";
                "N2" n2_second_removal_in_a_row:
                    "a second removal of the same user is refused, or finds the user absent if the request accepts that";
                "N3" n3_only_the_named_chat_is_left:
                    "a removal changes no other chat, member or link";
                "N5" n5_write_without_effect_is_not_a_success:
                    "a write that removes no member reports it, and changes and records nothing";
            }
            users {
                "U1" u1_inactive_user_is_refused:
                    "a user who is inactive or unknown is refused by rule 11, member or not";
                "U2" u2_rights_are_checked_per_actor:
                    "a right is decided for the actor of the request, regardless of earlier actors";
                "U3" u3_rights_are_separate:
                    "access to the entity and the right to remove are both required, and neither implies the other";
                "U4" u4_self_bots_and_external_users_follow_the_same_rules:
                    "the same rules apply when an actor removes itself, a bot or an external user";
            }
            ids {
                "D1" d1_ids_are_exact:
                    "ids from 1 to 9223372036854775807 are stored, compared and returned exactly";
                "D1" d1_similar_ids_are_distinguished:
                    "ids that are equal when cut to 32 bits or rounded to a float are distinguished by every query";
                "D1" d1_dump_equals_what_was_loaded:
                    "a dump equals the snapshot that was loaded";
                "D2" d2_invalid_values_are_refused:
                    "an invalid value in a request gives the error code of the rule table and changes nothing";
                "D3" d3_equal_numbers_of_different_kinds_are_distinct:
                    "a user, a chat and entities of each kind that have the same number are distinct";
            }
            entities {
                "E1" e1_named_entity_decides:
                    "access is decided by the entity that the request names, not by another entity of the chat";
                "E2" e2_newest_link_is_last_chat:
                    "the last chat of an entity is that of its newest link, and linking a chat again makes its link the newest";
                "E3" e3_no_chat:
                    "an entity without a chat, in a request that names none, gives *no chat* and changes nothing";
                "E4" e4_chat_linked_elsewhere:
                    "a chat that is linked to another entity, or does not exist, does not belong to the entity";
                "E5" e5_messenger_comes_first:
                    "without the messenger every removal is refused for that reason, before any permission is checked";
                "E6" e6_earlier_rule_decides:
                    "of any two rules that fail, the earlier one decides";
            }
            edits {
                "E6" e6_deleted_chat_leaves_nothing:
                    "a chat added with the id of a deleted one has none of its members, links and rights";
                "E6" e6_edits_have_their_documented_effect:
                    "an edit has its documented effect, is idempotent, and is rejected if it names something unknown";
            }
            batches {
                "K1" k1_one_of_ten_refused:
                    "one refused request out of ten in a batch affects no other, and each is answered correctly";
                "K2" k2_same_request_twice:
                    "the same request twice in a batch makes one change";
            }
        }
    };
}

/// Generates the table of the cases and the list of their functions.
macro_rules! index {
    (() $($module:ident { $($id:literal $name:ident: $law:literal;)* })*) => {
        /// All cases of the suite, in the order of its modules.
        pub const CASES: &[Case] = &[
            $($(Case { id: $id, name: stringify!($name), law: $law },)*)*
        ];

        /// Returns the functions of [`CASES`], in the same order.
        fn functions<H: Harness>() -> [fn(&TestContext<H>); CASES.len()] {
            [$($(cases::$module::$name,)*)*]
        }
    };
}
__for_each_case!(index,);

/// Generates a `#[test]` for each case of the suite, for the backend behind a
/// [`Harness`].
///
/// The tests have the names of the [cases], and each one evaluates the expression
/// again. The [front page](crate) has a complete file.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::__for_each_case!($crate::__tests, $harness);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($harness:expr) $($module:ident { $($id:literal $name:ident: $law:literal;)* })*) => {
        $($(
            #[test]
            fn $name() {
                let case = $crate::Case { id: $id, name: stringify!($name), law: $law };
                $crate::run_case($harness, case, $crate::cases::$module::$name);
            }
        )*)*
    };
}

/// Runs one of the [`CASES`], given by its name.
///
/// # Panics
/// As [`run_case`], and if no case has that name.
pub fn run_named_case<H: Harness>(harness: H, name: &str) {
    let mut cases = CASES.iter().zip(functions());
    match cases.find(|(case, _)| case.name == name) {
        Some((case, run)) => run_case(harness, *case, run),
        None => panic!("no case is named `{name}`"),
    }
}
