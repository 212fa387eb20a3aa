//! Two independent handles at once, each on a thread of its own.

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::thread;

use crm_chat_domain::{
    Access, ChatRepo, Edit, IfAbsent, Link, Outcome, OwnerChange, Refusal, Removal, Remover,
    Request, Rule, Snapshot, Store, StoreError, StoreErrorKind, UnitOfWork, Verdict,
};

use crate::faults::Tapped;
use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user};
use crate::{Harness, Lab, Order, Point, Race, Reply, Side, Subject};

mod many;

pub use many::r10_many_callers;

/// The store of one side of a race.
type SideOf<H> = Tapped<<H as Harness>::Store, Side>;

/// Runs two sides at once. Each waits at the point for the other; `first` then goes on first.
fn duel<H: Harness, A: Send, B: Send>(
    subject: &Subject<'_, H>,
    point: Point,
    first: impl FnOnce(SideOf<H>) -> A,
    second: impl FnOnce(SideOf<H>) -> B + Send,
) -> (A, B) {
    let race = Race::new(subject.harness().grace());
    let store = |order| Tapped::new(subject.connect(), race.side(order, point));
    let (one, other) = (store(Order::First), store(Order::Second));
    let came = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let came = second(other);
            race.end(Order::Second);
            came
        });
        let came = first(one);
        race.end(Order::First);
        (
            came,
            other.join().unwrap_or_else(|panic| resume_unwind(panic)),
        )
    });
    note_meeting(subject, &race, point);
    came
}

/// Runs a removal, which waits at the point until `act` has ended.
pub(super) fn beside<H: Harness, A: Send, B: Send>(
    subject: &Subject<'_, H>,
    point: Point,
    removal: impl FnOnce(SideOf<H>) -> A + Send,
    act: impl FnOnce() -> B,
) -> (A, B) {
    let race = Race::new(subject.harness().grace());
    let store = Tapped::new(subject.connect(), race.side(Order::Second, point));
    let came = thread::scope(|scope| {
        let removal = scope.spawn(|| {
            let came = removal(store);
            race.end(Order::Second);
            came
        });
        let came = race.intervene(act);
        (
            removal.join().unwrap_or_else(|panic| resume_unwind(panic)),
            came,
        )
    });
    note_meeting(subject, &race, point);
    came
}

fn note_meeting<H: Harness>(subject: &Subject<'_, H>, race: &Race, point: Point) {
    let met = if race.met() {
        "met"
    } else {
        "did not meet: one waited for the other"
    };
    subject.note(format!("// the two ran at once and {met} (at {point:?})"));
}

/// Checks that what came, and what is committed, is one of what the serial orders give.
#[track_caller]
fn one_of<H: Harness, R: PartialEq + Debug>(
    subject: &Subject<'_, H>,
    came: &R,
    orders: &[(R, Snapshot)],
) {
    let given = orders.iter().filter(|(expected, _)| expected == came);
    let differences: Vec<_> = given.map(|(_, state)| subject.compare(state)).collect();
    if differences.iter().any(Result::is_ok) {
        return;
    }
    match differences.into_iter().find_map(Result::err) {
        Some(difference) => subject.fail("", format!("after {came:?}\n{difference}")),
        None => {
            let expected: Vec<_> = orders.iter().map(|(expected, _)| expected).collect();
            subject.fail(&format!("one of {expected:?}"), format!("{came:?}"))
        }
    }
}

fn made(id: i64, owner: OwnerChange) -> Reply {
    Ok(Ok(Outcome::Removed(change(id, owner))))
}

fn gone(id: i64) -> Reply {
    Ok(Err(Refusal::NotAMember {
        user: user(id),
        chat: chat(8773),
    }))
}

/// R1: the same user removed twice at once: one removal, one refusal or already-absent; one record.
pub fn r1_same_user_removed_twice_at_once<H: Harness>(lab: &Lab<H>) {
    let absent = Ok(Ok(Outcome::AlreadyAbsent { chat: chat(8773) }));
    let variants = [
        (12, OwnerChange::Unchanged, IfAbsent::Refuse, gone(12)),
        (7, OwnerChange::PassesTo(user(13)), IfAbsent::Accept, absent),
    ];
    for (leaving, owner, if_absent, late) in variants {
        let asked = removal(leaving).if_absent(if_absent);
        lab.each(
            &office(),
            [Point::Begun, Point::Write, Point::Written],
            |subject, point| {
                let side = |store: SideOf<H>| subject.remove_by(&store, user(1), &asked);
                let came = duel(subject, point, side, side);
                let state = after(&office(), &change(leaving, owner));
                let orders = [
                    ((made(leaving, owner), late), state.clone()),
                    ((late, made(leaving, owner)), state),
                ];
                one_of(subject, &came, &orders);
            },
        );
    }
}

/// R2: removal beside re-adding the same user, and beside another's joining: some serial order, no duplicate, no raw
/// constraint error.
pub fn r2_removal_beside_joining_again<H: Harness>(lab: &Lab<H>) {
    let unchanged = OwnerChange::Unchanged;
    // 12 is a member, 2 is not.
    for (leaving, joining) in [(12, 12), (2, 2), (12, 2)] {
        let join = Edit::Join {
            chat: chat(8773),
            user: user(joining),
        };
        let left = change(leaving, unchanged);
        let removal_first = if leaving == 2 {
            (gone(2), joined(&office(), joining))
        } else {
            (
                made(12, unchanged),
                joined(&after(&office(), &left), joining),
            )
        };
        let join_first = (
            made(leaving, unchanged),
            after(&joined(&office(), joining), &left),
        );
        let orders = [removal_first, join_first];
        lab.each(
            &office(),
            [Point::Begun, Point::Write, Point::Commit],
            |subject, point| {
                let side = removing(subject, leaving);
                let (came, ()) = beside(subject, point, side, || subject.edit(&join));
                one_of(subject, &came, &orders);
            },
        );
    }
}

fn joined(world: &Snapshot, id: i64) -> Snapshot {
    let mut world = world.clone();
    let members = &mut chat_of(&mut world, chat(8773)).members;
    if !members.contains(&user(id)) {
        members.push(user(id));
    }
    world
}

/// R3: owner removed while the would-be successor is removed: a member owns the chat, or nobody is left who may.
pub fn r3_owner_beside_successor<H: Harness>(lab: &Lab<H>) {
    let mut two_left = office();
    chat_of(&mut two_left, chat(8773)).members = [20, 7, 13].map(user).to_vec();
    let worlds = [
        (office(), OwnerChange::PassesTo(user(12))),
        (two_left, OwnerChange::Vacant),
    ];
    for (world, then) in worlds {
        let passed = OwnerChange::PassesTo(user(13));
        let in_turn = |earlier, later| after(&after(&world, &earlier), &later);
        let owner_first = in_turn(change(7, passed), change(13, then));
        let successor_first = in_turn(change(13, OwnerChange::Unchanged), change(7, then));
        let orders = [
            ((made(7, passed), made(13, then)), owner_first),
            (
                (made(7, then), made(13, OwnerChange::Unchanged)),
                successor_first,
            ),
        ];
        lab.each(
            &world,
            [Point::Begun, Point::Write, Point::Written],
            |subject, point| {
                let came = duel(subject, point, removing(subject, 7), removing(subject, 13));
                one_of(subject, &came, &orders);
            },
        );
        lab.each(
            &world,
            [Point::Begun, Point::Write, Point::Written],
            |subject, point| {
                let (successor, owner) =
                    duel(subject, point, removing(subject, 13), removing(subject, 7));
                one_of(subject, &(owner, successor), &orders);
            },
        );
    }
}

/// The side of a race that removes a user.
fn removing<'s, H: Harness>(
    subject: &'s Subject<'_, H>,
    id: i64,
) -> impl FnOnce(SideOf<H>) -> Reply + Send + 's {
    move |store| subject.remove_by(&store, user(1), &removal(id).in_chat(chat(8773)))
}

/// R4: the actor's right revoked between check and write: serialised before or after, never applied on the stale right.
pub fn r4_right_revoked_in_flight<H: Harness>(lab: &Lab<H>) {
    let (actor, deal) = (user(1), entity("deal:288"));
    let access = Access {
        user: actor,
        entity: deal,
    };
    let remover = Remover {
        user: actor,
        chat: chat(8773),
    };
    let no_access = Refusal::AccessDenied {
        actor,
        entity: deal,
    };
    let no_right = Refusal::RemovalDenied {
        actor,
        chat: chat(8773),
        entity: deal,
    };
    undone_in_flight(lab, &Edit::RevokeAccess(access), no_access, |world| {
        world.access.retain(|had| *had != access);
    });
    undone_in_flight(lab, &Edit::RevokeRemoval(remover), no_right, |world| {
        world.removers.retain(|had| *had != remover);
    });
}

/// R5: the link deleted, or the user deactivated, between check and write: the same.
pub fn r5_fact_undone_in_flight<H: Harness>(lab: &Lab<H>) {
    let link = Link {
        entity: entity("deal:288"),
        chat: chat(8773),
    };
    let unlinked = Refusal::ChatNotInCrm {
        chat: link.chat,
        entity: link.entity,
    };
    undone_in_flight(lab, &Edit::Unlink(link), unlinked, |world| {
        world.links.retain(|made| *made != link);
    });
    let inactive = Refusal::UserNotActive { user: user(12) };
    undone_in_flight(
        lab,
        &Edit::DeactivateUser { user: user(12) },
        inactive,
        |world| {
            let mut users = world.users.iter_mut();
            users
                .find(|known| known.id == user(12))
                .expect("the user is known")
                .active = false;
        },
    );
    let uninstalled = Edit::SetMessenger { installed: false };
    undone_in_flight(lab, &uninstalled, Refusal::MessengerNotInstalled, |world| {
        world.messenger_installed = false;
    });
}

/// A removal runs while `edit` undoes a fact that it rests on. Whoever looks after the edit sees the user gone, or a
/// member who stays: the removal comes before the edit, or is refused.
fn undone_in_flight<H: Harness>(
    lab: &Lab<H>,
    edit: &Edit,
    refusal: Refusal,
    undo: impl Fn(&mut Snapshot),
) {
    let undone = |mut world: Snapshot| {
        undo(&mut world);
        world
    };
    let owner = OwnerChange::Unchanged;
    let orders = [
        (
            (made(12, owner), false),
            undone(after(&office(), &change(12, owner))),
        ),
        ((Ok(Err(refusal)), true), undone(office())),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Commit],
        |subject, point| {
            let came = beside(subject, point, removing(subject, 12), || {
                subject.edit(edit);
                is_seen_a_member(subject)
            });
            one_of(subject, &came, &orders);
        },
    );
}

/// Whether user 12 is a member of chat 8773, as an explanation on another handle sees it.
fn is_seen_a_member<H: Harness>(subject: &Subject<'_, H>) -> bool {
    let request = Request::from(&removal(12).in_chat(chat(8773)));
    let explanation = subject.explain(&subject.connect(), user(1), &request);
    let mut verdicts = explanation.verdicts().iter();
    let holds =
        verdicts.any(|(rule, verdict)| *rule == Rule::Member && matches!(verdict, Verdict::Holds));
    subject.note(format!("// user 12 is seen a member: {holds}"));
    holds
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
                    subject.note(format!(
                        "// {leaves} removed if {stays} is a member: {came:?}"
                    ));
                    came.map_err(|error| error.kind())
                }
            };
            one_of(
                subject,
                &duel(subject, point, side(12, 13), side(13, 12)),
                &orders,
            );
        },
    );
}

/// Removes `leaves` if `stays` is a member, and tells whether it is.
async fn remove_beside(store: &impl Store, stays: i64, leaves: i64) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let is_member = tx.role(chat(8773), user(stays)).await?.is_some();
    if is_member {
        tx.remove_member(&change(leaves, OwnerChange::Unchanged))
            .await?;
    }
    tx.commit().await?;
    Ok(is_member)
}

/// R9: batches {A, B} and {B, A} at once: no deadlock; at most a retryable conflict.
pub fn r9_batches_in_opposite_orders<H: Harness>(lab: &Lab<H>) {
    let conflict = Err(StoreErrorKind::Conflict);
    let all = |ids: [i64; 2]| {
        Ok(ids
            .map(|id| Ok(Outcome::Removed(change(id, OwnerChange::Unchanged))))
            .to_vec())
    };
    let none = |ids: [i64; 2]| {
        Ok(ids
            .map(|id| {
                Err(Refusal::NotAMember {
                    user: user(id),
                    chat: chat(8773),
                })
            })
            .to_vec())
    };
    let without = |ids: [i64; 2]| {
        let changes = ids.map(|id| change(id, OwnerChange::Unchanged));
        changes
            .iter()
            .fold(office(), |world, change| after(&world, change))
    };
    let (ab, ba) = ([12, 13], [13, 12]);
    let orders = [
        ((all(ab), none(ba)), without(ab)),
        ((all(ab), conflict.clone()), without(ab)),
        ((none(ab), all(ba)), without(ba)),
        ((conflict.clone(), all(ba)), without(ba)),
        ((conflict.clone(), conflict), office()),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Written],
        |subject, point| {
            let side = |ids: [i64; 2]| {
                let batch = ids.map(|id| (user(1), removal(id)));
                move |store: SideOf<H>| subject.remove_all_by(&store, &batch)
            };
            one_of(subject, &duel(subject, point, side(ab), side(ba)), &orders);
        },
    );
}

/// R11: a refusal, and an explanation, that saw a revoked right, beside a removal that did not: the removal conflicts or
/// came first. Who only reads is part of the order, so it commits too.
pub fn r11_refusal_commits_too<H: Harness>(lab: &Lab<H>) {
    let (actor, deal) = (user(1), entity("deal:288"));
    let access = Access {
        user: actor,
        entity: deal,
    };
    let no_access = Refusal::AccessDenied {
        actor,
        entity: deal,
    };
    let mut revoked = office();
    revoked.access.retain(|had| *had != access);
    let owner = OwnerChange::PassesTo(user(13));
    let orders = [
        (
            (made(7, owner), Some(user(13))),
            after(&revoked, &change(7, owner)),
        ),
        ((Ok(Err(no_access)), Some(user(7))), revoked),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Commit],
        |subject, point| {
            let came = beside(subject, point, removing(subject, 7), || {
                subject.edit(&Edit::RevokeAccess(access));
                subject.answers(actor, &removal(7), Err(no_access));
                owner_seen(subject)
            });
            one_of(subject, &came, &orders);
        },
    );
}

/// Who owns chat 8773, as a transaction of reads on a handle of its own sees it.
fn owner_seen<H: Harness>(subject: &Subject<'_, H>) -> Option<crm_chat_domain::UserId> {
    let store = subject.connect();
    let seen = subject.block_on(async {
        let mut tx = store.begin().await?;
        let mut owner = None;
        for member in [7, 13].map(user) {
            let role = tx.role(chat(8773), member).await?;
            owner = owner.or(role
                .filter(|role| *role == crm_chat_domain::Role::Owner)
                .map(|_| member));
        }
        tx.commit().await.map(|()| owner)
    });
    subject.note(format!("// the owner is seen to be {seen:?}"));
    seen.unwrap_or_else(|error| subject.fail("the owner", error.report()))
}

/// R12: a reader follows the log while removals commit: never a record at or below a number already read.
pub fn r12_log_is_followed<H: Harness>(lab: &Lab<H>) {
    let elsewhere = Removal::new(entity("lead:5"), user(7));
    let points = [Point::Begun, Point::Write, Point::Written, Point::Commit];
    lab.each(&office(), points, |subject, point| {
        let (slow, (quick, mut followed)) = beside(subject, point, removing(subject, 12), || {
            (subject.remove(user(1), &elsewhere), subject.log(0))
        });
        subject.same("the slow answer", &made(12, OwnerChange::Unchanged), &slow);
        subject.same(
            "the other's answer is a change",
            &true,
            &matches!(quick, Ok(Ok(Outcome::Removed(_)))),
        );
        let last = followed.last().map_or(0, |entry| entry.sequence);
        subject.note(format!("// a reader has read up to {last}"));
        followed.extend(subject.log(last));
        subject.same("the log as followed", &subject.log(0), &followed);
        subject.same(
            "the number of records",
            &(office().removals.len() + 2),
            &followed.len(),
        );
    });
}
