//! The one list of the cases, and what is made of it.

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crm_chat_domain::{LogEntry, Snapshot};

use crate::harness::{Step, opening};
use crate::{Harness, Lab, cases};

/// One case of the suite: a law that every backend must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The scenario that it plays, such as `R5`. A scenario may have several cases.
    pub id: &'static str,
    /// The name of its function and of its test.
    pub name: &'static str,
    /// What must hold.
    pub law: &'static str,
}

/// Hands the list of the cases to a macro: the one place where they are listed.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ($callback:path, $($argument:tt)*) => {
        $callback! { ($($argument)*)
            races {
                "R1" r1_same_user_removed_twice_at_once:
                    "of two removals of the same user at once, one is made, and the other finds the user gone";
                "R2" r2_removal_beside_joining_again:
                    "a removal beside a joining, the same user's or another's, comes before or after it";
                "R3" r3_owner_beside_successor:
                    "when the owner and the successor are removed at once, a member owns the chat or nobody is left who may";
                "R3" r3_succession_changed_in_flight:
                    "an owner set, or a successor who joins, leaves or is deactivated, while a removal runs is seen, or comes after it";
                "R4" r4_right_revoked_in_flight:
                    "a right revoked while a removal runs is seen, or comes after the removal";
                "R5" r5_fact_undone_in_flight:
                    "a link or chat deleted, a user deactivated, or the messenger gone while a removal runs is seen, or comes after it";
                "R5" r5_last_chat_changed_in_flight:
                    "a link made or deleted while a removal from the last chat runs is seen, or comes after the removal";
                "R6" r6_write_skew:
                    "of two transactions that read what the other writes, one sees the other's write, waits or conflicts";
                "R6" r6_reads_are_of_one_state:
                    "what a transaction reads is of one state, or it does not commit";
                "R9" r9_batches_in_opposite_orders:
                    "batches that remove the same users in opposite orders do not wait for each other for ever";
                "R10" r10_many_callers:
                    "the answers to many callers at once have an order in which the rules give them";
                "R11" r11_refusal_commits_too:
                    "a removal does not commit on a right that another transaction, which saw its user a member, saw revoked";
                "R12" r12_log_is_followed:
                    "a reader that follows the log sees each record once, in the order of their numbers";
            }
            interrupted {
                "R7" r7_aborted_attempt_leaves_nothing:
                    "a conflict is replayed, and nothing of the aborted attempt is kept";
                "R7" r7_aborted_batch_leaves_nothing:
                    "a conflict in a batch is replayed, and nothing of the aborted attempt is kept or lost";
                "R7" r7_aborted_attempt_is_never_seen:
                    "what was not committed is not seen by others";
                "R8" r8_cancelled_call:
                    "a removal that is dropped before its commit leaves no change, no transaction and no lock";
                "R8" r8_cancelled_begin:
                    "a begin that is dropped while it waits leaves no transaction and no lock";
                "R8" r8_cancelled_commit:
                    "a commit that is dropped after it was first polled is whole or absent";
                "K3" k3_failure_before_a_call:
                    "a removal whose n-th call fails without effect changes nothing, says so, and succeeds when repeated";
                "K3" k3_failure_after_a_call:
                    "a removal whose n-th call fails after its effect is whole or absent, says so, and converges when repeated";
                "K3" k3_failure_in_a_batch:
                    "a batch of which any call fails is made as a whole or not at all";
                "N4" n4_storage_failure_is_no_refusal:
                    "a store that cannot tell whether the user is a member fails, and refuses nothing";
            }
            owner {
                "O1" o1_earliest_active_human_succeeds:
                    "when the owner is removed, the chat passes to the active human who joined earliest";
                "O2" o2_nobody_else_may_own:
                    "a chat whose other members are bots, external, inactive or unknown has no owner when its owner is removed";
                "O3" o3_refusal_leaves_the_owner:
                    "a refused removal of the owner leaves the owner";
                "O4" o4_member_leaves_owner_stays:
                    "the removal of a member who is not the owner does not change the owner";
                "O5" o5_last_member_leaves:
                    "a chat whose last member is removed is empty, without an owner, and linked as before";
                "O6" o6_former_owner_returns_as_member:
                    "a former owner who joins again is an ordinary member, the last to have joined";
            }
            membership {
                "N1" n1_stranger_is_refused:
                    "who is no member, or no user, is refused, and nothing is recorded";
                "N2" n2_second_removal_in_a_row:
                    "a second removal of the same user is refused, or finds the user absent where that is accepted";
                "N3" n3_only_the_named_chat_is_left:
                    "a removal touches no other chat, member or link";
                "N5" n5_no_row_is_no_success:
                    "a write that removes nobody says so, and changes and records nothing";
            }
            users {
                "U1" u1_inactive_user_is_refused:
                    "a user who is inactive or unknown is refused by rule 11, member or not";
                "U2" u2_answers_do_not_depend_on_who_asked_before:
                    "a right is answered for the user who asks, whoever asked before";
                "U3" u3_rights_are_separate:
                    "access to the entity and the right to remove are each required, and neither implies the other";
                "U4" u4_rules_apply_to_all_alike:
                    "an actor may remove itself, a bot or an external user by the same rules";
            }
            ids {
                "D1" d1_ids_are_exact:
                    "ids from 1 to 9223372036854775807 are stored, compared and read back exactly";
                "D1" d1_ids_are_told_apart:
                    "ids that are alike when they are cut to 32 bits or rounded to a float are told apart by every question";
                "D1" d1_dump_equals_what_was_loaded:
                    "a dump of what was loaded equals it";
                "D2" d2_odd_values_are_refused:
                    "an odd value in a request gives the code of the table, and changes nothing";
                "D3" d3_equal_numbers_are_not_the_same_thing:
                    "a user, a chat and entities of each kind that bear the same number are different things";
            }
            entities {
                "E1" e1_named_entity_decides:
                    "access is judged by the entity that the request names, not by another of the same chat";
                "E2" e2_newest_link_is_last:
                    "the last chat of an entity is that of its newest link, and a link made again is the newest";
                "E3" e3_no_chat:
                    "an entity without a chat, where the request names none, gives *no chat* and changes nothing";
                "E4" e4_chat_elsewhere:
                    "a chat that is linked elsewhere, or does not exist, does not belong to the entity";
                "E5" e5_messenger_comes_first:
                    "without the messenger every removal is refused so, before permissions";
                "E6" e6_earlier_rule_decides:
                    "of any two rules that fail the earlier decides";
                "E6" e6_deleted_chat_leaves_nothing:
                    "a chat that is added under the id of a deleted one has none of its members, links and rights";
                "E6" e6_edits_do_what_they_say:
                    "a single change does what it says, made twice does no harm, and is rejected where it names what is not there";
            }
            bulk {
                "K1" k1_one_of_ten_refused:
                    "of ten requests in one batch the refused one hinders no other, and each is answered truly";
                "K2" k2_same_request_twice:
                    "the same request twice in a batch makes one change";
            }
        }
    };
}

/// Makes a table of the cases and a list of their functions.
macro_rules! index {
    (() $($module:ident { $($id:literal $name:ident: $law:literal;)* })*) => {
        /// All cases of the suite, in the order of its modules.
        pub const CASES: &[Case] = &[
            $($(Case { id: $id, name: stringify!($name), law: $law },)*)*
        ];

        /// Runs the case of a name on this thread.
        fn run<H: Harness>(lab: &Lab<H>) {
            match lab.case().name {
                $($(stringify!($name) => cases::$module::$name(lab),)*)*
                name => panic!("there is no case named `{name}`"),
            }
        }
    };
}
__for_each_case!(index,);

/// Makes one `#[test]` of each case of the suite, for the backend that a [`Harness`] gets at.
///
/// The tests are named after the [cases]. Each evaluates the expression for itself. See the [front page](crate) for a
/// whole file.
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
                $crate::check($harness, stringify!($name));
            }
        )*)*
    };
}

/// Writes a part of a [`Harness`] for a store whose own methods bear the names `edit`, `dump` and `log`: the type `Store`
/// and these three. The methods are
///
/// ```text
/// async fn edit(&self, edit: &Edit) -> Result<(), EditError>
/// async fn dump(&self) -> Snapshot
/// async fn log(&self, after: u64, limit: usize) -> Vec<LogEntry>
/// ```
///
/// and `dump` and `log` may return a `Result` of these.
///
/// Where the store has only some of them, they are named, `by_own_methods!(Store: dump, log);`, and the harness writes the
/// others itself.
#[macro_export]
macro_rules! by_own_methods {
    ($store:ty) => {
        $crate::by_own_methods!($store: edit, dump, log);
    };
    ($store:ty: $($method:ident),+) => {
        type Store = $store;

        $($crate::__own_method!($method $store);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __own_method {
    (edit $store:ty) => {
        async fn edit(
            &self,
            store: &$store,
            edit: &$crate::domain::Edit,
        ) -> ::core::result::Result<(), $crate::domain::snapshot::EditError> {
            store.edit(edit).await
        }
    };
    (dump $store:ty) => {
        async fn dump(&self, store: &$store) -> $crate::domain::Snapshot {
            $crate::Certain::certain(store.dump().await)
        }
    };
    (log $store:ty) => {
        async fn log(
            &self,
            store: &$store,
            after: u64,
        ) -> ::std::vec::Vec<$crate::domain::LogEntry> {
            $crate::Certain::certain(store.log(after, usize::MAX).await)
        }
    };
}

/// What may be a `Result`, of which the suite wants the value.
#[doc(hidden)]
pub trait Certain<T> {
    fn certain(self) -> T;
}

impl Certain<Self> for Snapshot {
    fn certain(self) -> Self {
        self
    }
}

impl Certain<Self> for Vec<LogEntry> {
    fn certain(self) -> Self {
        self
    }
}

impl<T, E: Debug> Certain<T> for Result<T, E> {
    #[track_caller]
    fn certain(self) -> T {
        self.expect("the store can be read")
    }
}

/// Runs one of the [`CASES`], by its name, as its test does.
///
/// # Panics
/// If the backend breaks the law, with the account of how; if the case does not go on for as long as the harness has
/// [patience](Harness::patience); if there is no such case.
pub fn check<H: Harness>(harness: H, name: &str) {
    let Some(case) = CASES.iter().find(|case| case.name == name).copied() else {
        panic!("there is no case named `{name}`");
    };
    let patience = harness.patience();
    let (steps, goes_on) = channel();
    let thread = thread::Builder::new().name(case.name.to_owned());
    let running = thread.spawn(move || run(&Lab::new(harness, case, steps)));
    let running = running.expect("a thread can be started");
    let mut account = String::new();
    loop {
        match goes_on.recv_timeout(patience) {
            Ok(Step::Opened(world)) => account = opening(&world),
            Ok(Step::Noted(line)) => account.extend([&line, "\n"]),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => stuck(case, patience, &account),
        }
    }
    if let Err(panic) = running.join() {
        resume_unwind(panic);
    }
}

fn stuck(case: Case, patience: Duration, account: &str) -> ! {
    let Case { id, law, .. } = case;
    let why = "a lock was left, or two transactions wait for each other";
    panic!("{id}: {law}\n\n{account}\nexpected: an end\n    came: none within {patience:?}: {why}");
}
