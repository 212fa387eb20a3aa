//! Two independent handles at once, each on a thread of its own.

use crm_chat_domain::snapshot::{AccessGrant, RemovalRight};
use crm_chat_domain::{
    ChatRepo, Edit, IfAbsent, Outcome, OwnerChange, Permissions, Refusal, Removal, Request, Rule,
    Snapshot, Store, StoreError, StoreErrorKind, UnitOfWork, UserId,
};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user};
use crate::model::{Model, Verdict};
use crate::{Harness, Lab, Point, Subject};

mod in_flight;
mod many;
pub(super) mod meeting;

use in_flight::changed_in_flight;
pub use in_flight::{
    r3_succession_changed_in_flight, r4_right_revoked_in_flight, r5_fact_undone_in_flight,
    r5_last_chat_changed_in_flight, r11_refusal_commits_too,
};
pub use many::r10_many_callers;
use meeting::{SideOf, beside, duel, one_of, removing};

/// R1: the same user removed twice at once: one removal, one refusal or already-absent; one record.
pub fn r1_same_user_removed_twice_at_once<H: Harness>(lab: &Lab<H>) {
    let [refuse, accept] = [IfAbsent::Refuse, IfAbsent::Accept];
    for (leaving, first, second) in
        [(12, refuse, refuse), (7, accept, accept), (12, refuse, accept)]
    {
        let [first, second] = [first, second].map(|option| removal(leaving).if_absent(option));
        removed_at_once(lab, &office(), &first, &second);
    }
}

/// R2: removal beside re-adding the same user, the owner too, and beside another's joining: some serial order, no
/// duplicate, no raw constraint error.
pub fn r2_removal_beside_joining_again<H: Harness>(lab: &Lab<H>) {
    // 7 and 12 are members, 2 is not.
    for (leaving, joining) in [(12, 12), (2, 2), (12, 2), (7, 7)] {
        let join = Edit::Join { chat: chat(8773), user: user(joining) };
        let asked = removal(leaving).in_chat(chat(8773));
        changed_in_flight(lab, &office(), &asked, &[join]);
    }
}

/// R3: owner removed while the would-be successor is removed: a member owns the chat, or nobody is left who may.
pub fn r3_owner_beside_successor<H: Harness>(lab: &Lab<H>) {
    let mut two_left = office();
    chat_of(&mut two_left, chat(8773)).members = [20, 7, 13].map(user).to_vec();
    for world in [office(), two_left] {
        let [owner, successor] = [7, 13].map(|id| removal(id).in_chat(chat(8773)));
        removed_at_once(lab, &world, &owner, &successor);
        removed_at_once(lab, &world, &successor, &owner);
    }
}

/// Two removals at once: both answers, and what is left, are those of one order or of the other.
fn removed_at_once<H: Harness>(lab: &Lab<H>, world: &Snapshot, first: &Removal, second: &Removal) {
    let in_turn = |earlier: &Removal, later: &Removal| {
        let mut model = Model::new(world.clone());
        let replies = [earlier, later].map(|removal| Ok(model.remove(user(1), removal)));
        (replies, model.dump())
    };
    let ([one, other], first_first) = in_turn(first, second);
    let ([late, early], second_first) = in_turn(second, first);
    let orders = [((one, other), first_first), ((early, late), second_first)];
    lab.each(world, [Point::Begun, Point::Write, Point::Written], |subject, point| {
        let side = |removal| move |store: SideOf<H>| subject.remove_by(&store, user(1), removal);
        let came = duel(subject, point, side(first), side(second));
        one_of(subject, &came, &orders);
    });
}

/// R6: write skew: each transaction reads what the other writes: one of them sees it, conflicts or waits.
pub fn r6_write_skew<H: Harness>(lab: &Lab<H>) {
    let conflict = Err(StoreErrorKind::Conflict);
    let without = |id| after(&office(), &change(id, OwnerChange::Unchanged));
    let orders = [
        ((Ok(true), Ok(false)), without(13)),
        ((Ok(true), conflict), without(13)),
        ((Ok(false), Ok(true)), without(12)),
        ((conflict, Ok(true)), without(12)),
        ((conflict, conflict), office()),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Written, Point::Commit],
        |subject, point| {
            let side = |stays, leaves| {
                move |store: SideOf<H>| {
                    let came = subject.block_on(remove_beside(&store, stays, leaves));
                    subject.note(format!("// {leaves} removed if {stays} is a member: {came:?}"));
                    came.map_err(|error| error.kind())
                }
            };
            one_of(subject, &duel(subject, point, side(12, 13), side(13, 12)), &orders);
        },
    );
}

/// Removes `leaves` if `stays` is a member, and tells whether it is.
async fn remove_beside(store: &impl Store, stays: i64, leaves: i64) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let is_member = tx.role(chat(8773), user(stays)).await?.is_some();
    if is_member {
        tx.remove_member(&change(leaves, OwnerChange::Unchanged)).await?;
    }
    tx.commit().await?;
    Ok(is_member)
}

/// R6: between two reads, each of what they read is changed: both are of one state, or the transaction conflicts. Two
/// questions of a transaction that writes nothing, and an explanation.
pub fn r6_reads_are_of_one_state<H: Harness>(lab: &Lab<H>) {
    let (actor, deal) = (user(2), entity("deal:288"));
    let revoke = Edit::RevokeAccess(AccessGrant { user: actor, entity: deal });
    let grant = Edit::GrantRemoval(RemovalRight { user: actor, chat: chat(8773) });
    let mut model = Model::new(office());
    let _ = (model.edit(&revoke), model.edit(&grant));
    let left = model.dump();
    let states = [(true, false), (false, false), (false, true)];
    let change_both = |subject: &Subject<'_, H>| {
        subject.edit(&revoke);
        subject.edit(&grant);
    };
    let read = states.map(|state| (Ok(state), left.clone()));
    let aborted = (Err(StoreErrorKind::Conflict), left.clone());

    let subject = lab.open(&office());
    let (came, ()) = beside(
        &subject,
        Point::Between,
        |store| subject.block_on(rights_read(&store, actor)),
        || change_both(&subject),
    );
    subject.note(format!("// access and the right as one transaction read them: {came:?}"));
    let came = came.map_err(|error| error.kind());
    one_of(&subject, &came, &[&read[..], &[aborted]].concat());

    let subject = lab.open(&office());
    let request = Request::from(&removal(12).in_chat(chat(8773)));
    let (explained, ()) = beside(
        &subject,
        Point::Between,
        |store| subject.explained(&store, actor, &request),
        || change_both(&subject),
    );
    let holds = |rule| explained.verdicts.contains(&(rule, Verdict::Holds));
    let came = Ok((holds(Rule::Access), holds(Rule::Permission)));
    subject.note(format!("// access and the right as explained: {came:?}"));
    one_of(&subject, &came, &read);
}

/// Whether an actor has access to the deal and the right in its chat.
async fn rights_read(store: &impl Store, actor: UserId) -> Result<(bool, bool), StoreError> {
    let deal = entity("deal:288");
    let mut tx = store.begin().await?;
    let access = tx.has_access(actor, deal).await?;
    let right = tx.may_remove(actor, chat(8773), deal).await?;
    tx.commit().await.map(|()| (access, right))
}

/// R9: batches {A, B} and {B, A} at once: no deadlock; at most a retryable conflict.
pub fn r9_batches_in_opposite_orders<H: Harness>(lab: &Lab<H>) {
    let conflict = Err(StoreErrorKind::Conflict);
    let all = |ids: [i64; 2]| {
        Ok(ids.map(|id| Ok(Outcome::Removed(change(id, OwnerChange::Unchanged)))).to_vec())
    };
    let none = |ids: [i64; 2]| {
        Ok(ids.map(|id| Err(Refusal::NotAMember { user: user(id), chat: chat(8773) })).to_vec())
    };
    let without = |ids: [i64; 2]| {
        let changes = ids.map(|id| change(id, OwnerChange::Unchanged));
        changes.iter().fold(office(), |world, change| after(&world, change))
    };
    let (ab, ba) = ([12, 13], [13, 12]);
    let orders = [
        ((all(ab), none(ba)), without(ab)),
        ((all(ab), conflict.clone()), without(ab)),
        ((none(ab), all(ba)), without(ba)),
        ((conflict.clone(), all(ba)), without(ba)),
        ((conflict.clone(), conflict), office()),
    ];
    lab.each(&office(), [Point::Begun, Point::Write, Point::Written], |subject, point| {
        let side = |ids: [i64; 2]| {
            let batch = ids.map(|id| (user(1), removal(id)));
            move |store: SideOf<H>| subject.remove_all_by(&store, &batch)
        };
        one_of(subject, &duel(subject, point, side(ab), side(ba)), &orders);
    });
}

/// R12: a reader follows the log while removals commit: never a record at or below a number already read, and each once.
pub fn r12_log_is_followed<H: Harness>(lab: &Lab<H>) {
    let elsewhere = Removal::new(entity("lead:5"), user(7));
    let points = [Point::Begun, Point::Write, Point::Written, Point::Commit];
    lab.each(&office(), points, |subject, point| {
        let (slow, (quick, mut followed)) = beside(subject, point, removing(subject, 12), || {
            (subject.remove(user(1), &elsewhere), subject.log(0))
        });
        let removed = Outcome::Removed(change(12, OwnerChange::Unchanged));
        subject.same("the slow answer", &Ok(Ok(removed)), &slow);
        subject.same(
            "the other's answer is a change",
            &true,
            &matches!(quick, Ok(Ok(Outcome::Removed(_)))),
        );
        let last = followed.last().map_or(0, |entry| entry.sequence);
        subject.note(format!("// a reader has read up to {last}"));
        followed.extend(subject.log(last));
        subject.same("the log as followed", &subject.log(0), &followed);
        subject.same("the number of records", &(office().removals.len() + 2), &followed.len());
    });
}
