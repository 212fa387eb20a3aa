//! Two independent handles used concurrently, each on a thread of its own.

use crm_chat_domain::snapshot::{AccessGrant, RemovalRight};
use crm_chat_domain::{
    ChatRepo, Edit, IfAbsent, Outcome, OwnerChange, Permissions, Refusal, Removal, Request, Rule,
    Snapshot, Store, StoreError, StoreErrorKind, UnitOfWork, UserId,
};

use super::in_flight::{assert_serializable_with_edits, remove_from_8773};
use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user};
use crate::model::{Model, ModelVerdict};
use crate::suite::harness::Harness;
use crate::suite::interleaving::{ParticipantStore, SyncPoint, run_both, run_during};
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

const POINTS: [SyncPoint; 3] = [SyncPoint::Begun, SyncPoint::Write, SyncPoint::Written];
const ALL_POINTS: [SyncPoint; 4] =
    [SyncPoint::Begun, SyncPoint::Write, SyncPoint::Written, SyncPoint::Commit];

/// R1: the same user removed twice at once gives one removal, one refusal or *already absent*, and
/// one record.
pub fn r1_same_user_removed_twice_at_once<H: Harness>(cx: &TestContext<H>) {
    let [refuse, accept] = [IfAbsent::Refuse, IfAbsent::Accept];
    let variants = [(12, refuse, refuse), (7, accept, accept), (12, refuse, accept)];
    for (leaving, first, second) in variants {
        let [first, second] = [first, second].map(|option| removal(leaving).if_absent(option));
        assert_removals_serializable(cx, &office(), &first, &second);
    }
}

/// R2: a removal concurrent with a join of the same user, the owner included, or of another user,
/// has a serial order and gives no duplicate member and no raw constraint error.
pub fn r2_removal_concurrent_with_join<H: Harness>(cx: &TestContext<H>) {
    // Users 7 and 12 are members, user 2 is not.
    for (leaving, joining) in [(12, 12), (2, 2), (12, 2), (7, 7)] {
        let join = Edit::Join { chat: chat(8773), user: user(joining) };
        let removal = removal(leaving).in_chat(chat(8773));
        assert_serializable_with_edits(cx, &office(), &removal, &[join]);
    }
}

/// R3: the owner and the expected successor removed at once; afterwards a member owns the chat, or
/// no eligible member is left.
pub fn r3_owner_and_successor_removed_at_once<H: Harness>(cx: &TestContext<H>) {
    let mut no_other_successor = office();
    chat_of(&mut no_other_successor, chat(8773)).members = [20, 7, 13].map(user).to_vec();
    for world in [office(), no_other_successor] {
        let [owner, successor] = [7, 13].map(|id| removal(id).in_chat(chat(8773)));
        assert_removals_serializable(cx, &world, &owner, &successor);
        assert_removals_serializable(cx, &world, &successor, &owner);
    }
}

/// Runs two removals concurrently. Both answers and the final state must match one of the two
/// serial orders.
fn assert_removals_serializable<H: Harness>(
    cx: &TestContext<H>,
    world: &Snapshot,
    first: &Removal,
    second: &Removal,
) {
    let run_serially = |earlier: &Removal, later: &Removal| {
        let mut model = Model::new(world.clone());
        let replies = [earlier, later].map(|removal| Ok(model.remove(user(1), removal)));
        (replies, model.dump())
    };
    let ([first_reply, second_reply], first_wins) = run_serially(first, second);
    let orders = [((first_reply, second_reply), first_wins), {
        let ([second_reply, first_reply], second_wins) = run_serially(second, first);
        ((first_reply, second_reply), second_wins)
    }];
    cx.for_each(world, POINTS, |test_store, point| {
        let participant = |removal| {
            move |store: ParticipantStore<H>| test_store.remove_with(&store, user(1), removal)
        };
        let actual = run_both(test_store, point, participant(first), participant(second));
        test_store.assert_one_of(&actual, &orders);
    });
}

/// R6: of two transactions that each read what the other writes, one sees the other's write,
/// conflicts or waits.
pub fn r6_write_skew<H: Harness>(cx: &TestContext<H>) {
    let conflict = Err(StoreErrorKind::Conflict);
    let without = |id| after(&office(), &change(id, OwnerChange::Unchanged));
    let orders = [
        ((Ok(true), Ok(false)), without(13)),
        ((Ok(true), conflict), without(13)),
        ((Ok(false), Ok(true)), without(12)),
        ((conflict, Ok(true)), without(12)),
        ((conflict, conflict), office()),
    ];
    cx.for_each(&office(), ALL_POINTS, |test_store, point| {
        let participant = |required, leaving| {
            move |store: ParticipantStore<H>| {
                let result = test_store.block_on(remove_if_member(&store, required, leaving));
                let step = format!("// {leaving} removed if {required} is a member: {result:?}");
                test_store.record(step);
                result.map_err(|error| error.kind())
            }
        };
        let actual = run_both(test_store, point, participant(12, 13), participant(13, 12));
        test_store.assert_one_of(&actual, &orders);
    });
}

/// Removes `leaving` if `required` is a member. Returns whether it is.
async fn remove_if_member(
    store: &impl Store,
    required: i64,
    leaving: i64,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let is_member = tx.role(chat(8773), user(required)).await?.is_some();
    if is_member {
        tx.remove_member(&change(leaving, OwnerChange::Unchanged)).await?;
    }
    tx.commit().await?;
    Ok(is_member)
}

/// R6: two facts are both changed between the two reads of them; the reads return one state, or the
/// transaction conflicts. Shown on a read-only transaction and on an explanation.
pub fn r6_reads_come_from_one_snapshot<H: Harness>(cx: &TestContext<H>) {
    let (actor, deal) = (user(2), entity("deal:288"));
    let revoke = Edit::RevokeAccess(AccessGrant { user: actor, entity: deal });
    let grant = Edit::GrantRemoval(RemovalRight { user: actor, chat: chat(8773) });
    let mut model = Model::new(office());
    let _ = (model.edit(&revoke), model.edit(&grant));
    let final_state = model.dump();
    // Access and the right before the edits, between them, and after them. (true, true) mixes two.
    let states = [(true, false), (false, false), (false, true)];
    let edit_both = |test_store: &TestStore<'_, H>| {
        test_store.edit(&revoke);
        test_store.edit(&grant);
    };
    let orders = states.map(|state| (Ok(state), final_state.clone()));
    let aborted = (Err(StoreErrorKind::Conflict), final_state.clone());

    let test_store = cx.open(&office());
    let (actual, ()) = run_during(
        &test_store,
        SyncPoint::Between,
        |store| test_store.block_on(read_rights(&store, actor)),
        || edit_both(&test_store),
    );
    test_store.record(format!("// access and the right as read in a transaction: {actual:?}"));
    let actual = actual.map_err(|error| error.kind());
    test_store.assert_one_of(&actual, &[&orders[..], &[aborted]].concat());

    let test_store = cx.open(&office());
    let request = Request::from(&removal(12).in_chat(chat(8773)));
    let (explanation, ()) = run_during(
        &test_store,
        SyncPoint::Between,
        |store| test_store.explain_comparably(&store, actor, &request),
        || edit_both(&test_store),
    );
    let holds = |rule| explanation.verdicts.contains(&(rule, ModelVerdict::Holds));
    let actual = Ok((holds(Rule::Access), holds(Rule::Permission)));
    test_store.record(format!("// access and the right as explained: {actual:?}"));
    test_store.assert_one_of(&actual, &orders);
}

/// Reads an actor's access to the deal and right in its chat, in one transaction.
async fn read_rights(store: &impl Store, actor: UserId) -> Result<(bool, bool), StoreError> {
    let deal = entity("deal:288");
    let mut tx = store.begin().await?;
    let access = tx.has_access(actor, deal).await?;
    let right = tx.may_remove(actor, chat(8773), deal).await?;
    tx.commit().await.map(|()| (access, right))
}

/// R9: batches {A, B} and {B, A} at once do not deadlock; at most they conflict.
pub fn r9_batches_in_opposite_orders<H: Harness>(cx: &TestContext<H>) {
    let conflict = Err(StoreErrorKind::Conflict);
    let leave = |id| change(id, OwnerChange::Unchanged);
    let all_removed = |ids: [i64; 2]| Ok(ids.map(|id| Ok(Outcome::Removed(leave(id)))).to_vec());
    let all_absent = |ids: [i64; 2]| {
        let refusal = |id| Refusal::NotAMember { user: user(id), chat: chat(8773) };
        Ok(ids.map(|id| Err(refusal(id))).to_vec())
    };
    let without =
        |ids: [i64; 2]| ids.map(leave).iter().fold(office(), |world, change| after(&world, change));
    // The later batch finds both users absent. With a lock per user, both batches may conflict.
    let (ab, ba) = ([12, 13], [13, 12]);
    let orders = [
        ((all_removed(ab), all_absent(ba)), without(ab)),
        ((all_removed(ab), conflict.clone()), without(ab)),
        ((all_absent(ab), all_removed(ba)), without(ba)),
        ((conflict.clone(), all_removed(ba)), without(ba)),
        ((conflict.clone(), conflict), office()),
    ];
    cx.for_each(&office(), POINTS, |test_store, point| {
        let participant = |ids: [i64; 2]| {
            let batch = ids.map(|id| (user(1), removal(id)));
            move |store: ParticipantStore<H>| test_store.remove_all_with(&store, &batch)
        };
        let actual = run_both(test_store, point, participant(ab), participant(ba));
        test_store.assert_one_of(&actual, &orders);
    });
}

/// R12: a reader that follows the log while removals commit sees each record once, and never a
/// record with a number at or below one that it has already read.
pub fn r12_log_reader_misses_no_record<H: Harness>(cx: &TestContext<H>) {
    let elsewhere = Removal::new(entity("lead:5"), user(7));
    cx.for_each(&office(), ALL_POINTS, |test_store, point| {
        let slow_removal = remove_from_8773(test_store, 12);
        let (slow, (quick, mut followed)) = run_during(test_store, point, slow_removal, || {
            (test_store.remove(user(1), &elsewhere), test_store.log(0))
        });
        let removed = Outcome::Removed(change(12, OwnerChange::Unchanged));
        test_store.assert_eq("the slow answer", &Ok(Ok(removed)), &slow);
        let is_removed = matches!(quick, Ok(Ok(Outcome::Removed(_))));
        test_store.assert_eq("the other's answer is a change", &true, &is_removed);
        // Everything up to `last` counts as read: a later record at or below it would be lost.
        let last = followed.last().map_or(0, |entry| entry.sequence);
        test_store.record(format!("// a reader has read up to {last}"));
        followed.extend(test_store.log(last));
        test_store.assert_eq("the log as followed", &test_store.log(0), &followed);
        let expected = office().removals.len() + 2;
        test_store.assert_eq("the number of records", &expected, &followed.len());
    });
}
