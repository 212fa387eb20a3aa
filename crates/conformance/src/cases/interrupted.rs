//! Conflicts, failures and cancellation.

use std::thread;
use std::time::Duration;

use crm_chat_domain::{
    Answer, Change, ChatRepo, IfAbsent, Outcome, OwnerChange, Refusal, Removal, Snapshot, Store,
    StoreErrorKind, UserId, remove_user,
};
use futures_lite::future::or;

use super::races::meeting::beside;
use crate::faults::{Call, Fault, Faulty, Gate};
use crate::fixtures::{after, change, chat, office, removal, user};
use crate::harness::written_call;
use crate::model::{Model, difference};
use crate::{Abandoned, Harness, Lab, Point, Reply, Subject, abandon_after};

/// The kinds that the core does not replay.
const KINDS: [StoreErrorKind; 5] = [
    StoreErrorKind::Unavailable,
    StoreErrorKind::OutcomeUnknown,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unsupported,
    StoreErrorKind::Other,
];

/// The change that is asked for: of an owner, which makes the most calls.
fn owner_leaves() -> Change {
    change(7, OwnerChange::PassesTo(user(13)))
}

/// The removal, from the last chat and from the chat named: one asks for the last chat, the other for the link.
fn removals() -> [Removal; 2] {
    [removal(7), removal(7).in_chat(chat(8773))]
}

/// A removal and one of its calls, numbered from 1.
type Struck = (Removal, usize, Call);

/// Every call of both removals.
fn calls<H: Harness>(lab: &Lab<H>) -> Vec<Struck> {
    let of = |asked: Removal| {
        let subject = lab.open(&office());
        let store = Faulty::new(subject.connect());
        let made = subject.remove_by(&store, user(1), &asked);
        let expected = Outcome::Removed(owner_leaves());
        subject.same("the answer", &Ok(Ok(expected)), &made);
        let numbered = (1..).zip(store.calls());
        numbered.map(move |(n, call)| (asked, n, call))
    };
    removals().into_iter().flat_map(of).collect()
}

/// The number of the commit, the last call of the removal from the last chat.
fn commit<H: Harness>(lab: &Lab<H>) -> usize {
    let calls = calls(lab).into_iter();
    let of_last_chat = calls.filter(|(asked, ..)| asked.chat.is_none());
    of_last_chat.count()
}

/// Opens a store that can be made to fail.
fn faulty<H: Harness>(subject: &Subject<'_, H>) -> Faulty<H::Store> {
    subject.note("let store = Faulty::new(harness.connect(&place).await);");
    Faulty::new(subject.connect())
}

/// Injects a fault at the n-th call.
fn inject<H: Harness>(subject: &Subject<'_, H>, store: &Faulty<H::Store>, n: usize, fault: Fault) {
    let written = match &fault {
        Fault::Before(kind) => format!("Before(StoreErrorKind::{kind:?})"),
        Fault::After(kind) => format!("After(StoreErrorKind::{kind:?})"),
        Fault::StallBefore(_) => "StallBefore(Gate::default())".to_owned(),
        Fault::StallAfter(_) => "StallAfter(Gate::default())".to_owned(),
    };
    subject.note(format!("store.inject({n}, Fault::{written});"));
    store.inject(n, fault);
}

/// Asks for a removal with a fault at the n-th call, and says what came.
fn strike<H: Harness>(
    subject: &Subject<'_, H>,
    store: &Faulty<H::Store>,
    asked: &Removal,
    n: usize,
    fault: Fault,
) -> Reply {
    inject(subject, store, n, fault);
    subject.remove_by(store, user(1), asked)
}

/// R7: a conflict is replayed: effects of the aborted attempt are not kept.
pub fn r7_aborted_attempt_leaves_nothing<H: Harness>(lab: &Lab<H>) {
    let conflict = StoreErrorKind::Conflict;
    for (asked, n, call) in calls(lab) {
        for fault in [Fault::Before(conflict), Fault::After(conflict)] {
            if happened(&call, &fault) {
                continue; // No conflict.
            }
            let subject = lab.open(&office());
            let store = faulty(&subject);
            let reply = strike(&subject, &store, &asked, n, fault);
            subject.same("the answer", &Ok(Ok(Outcome::Removed(owner_leaves()))), &reply);
            subject.holds(&after(&office(), &owner_leaves()));
        }
    }
}

/// R7: a conflict in a batch is replayed: the whole batch is.
pub fn r7_aborted_batch_leaves_nothing<H: Harness>(lab: &Lab<H>) {
    let (batch, answers, whole) = batch();
    for n in 1..=calls_of_batch(lab).len() {
        let fault = Fault::Before(StoreErrorKind::Conflict);
        let subject = lab.open(&office());
        let store = faulty(&subject);
        inject(&subject, &store, n, fault);
        subject.same("the answers", &Ok(answers.clone()), &subject.remove_all_by(&store, &batch));
        subject.holds(&whole);
    }
}

/// Whether a commit fails after its effect.
fn happened(call: &Call, fault: &Fault) -> bool {
    *call == Call::Commit && matches!(fault, Fault::After(_) | Fault::StallAfter(_))
}

/// Three removals, of which the second is refused, what must be answered, and what is left.
fn batch() -> ([(UserId, Removal); 3], Vec<Answer>, Snapshot) {
    let mut model = Model::new(office());
    let batch = [12, 4, 7].map(|leaving| (user(1), removal(leaving)));
    let answers = batch.iter().map(|(actor, asked)| model.remove(*actor, asked));
    (batch, answers.collect(), model.dump())
}

/// The calls of the batch.
fn calls_of_batch<H: Harness>(lab: &Lab<H>) -> Vec<Call> {
    let (batch, answers, whole) = batch();
    let subject = lab.open(&office());
    let store = Faulty::new(subject.connect());
    subject.same("the answers", &Ok(answers), &subject.remove_all_by(&store, &batch));
    subject.holds(&whole);
    store.calls()
}

/// R7: effects of an attempt that is aborted in the end are not seen by anybody before.
pub fn r7_aborted_attempt_is_never_seen<H: Harness>(lab: &Lab<H>) {
    let commit = commit(lab);
    for point in [Point::Written, Point::Commit] {
        let subject = lab.open(&office());
        let aborted = |store| {
            let store = Faulty::new(store);
            store.inject(commit, Fault::Before(StoreErrorKind::Unavailable));
            subject.remove_by(&store, user(1), &removal(7))
        };
        let (reply, (seen, answer)) = beside(&subject, point, aborted, || {
            let seen = subject.compare(&office());
            (seen, subject.remove(user(1), &removal(7)))
        });
        if let Err(difference) = seen {
            subject.fail("", difference);
        }
        subject.same("the aborted answer", &Err(StoreErrorKind::Unavailable), &reply);
        subject.same("the answer", &Ok(Ok(Outcome::Removed(owner_leaves()))), &answer);
        subject.holds(&after(&office(), &owner_leaves()));
    }
}

/// R8: a port call is cancelled: no open transaction, no lock, no change.
pub fn r8_cancelled_call<H: Harness>(lab: &Lab<H>) {
    for (asked, n, call) in calls(lab) {
        for stall in [Fault::StallBefore, Fault::StallAfter] {
            let gate = Gate::default();
            let fault = stall(gate.clone());
            if happened(&call, &fault) {
                continue;
            }
            let subject = lab.open(&office());
            cancel_at(&subject, &asked, &gate, n, fault);
            nothing_is_left(&subject);
        }
    }
}

fn cancel_at<H: Harness>(
    subject: &Subject<'_, H>,
    asked: &Removal,
    gate: &Gate,
    n: usize,
    fault: Fault,
) {
    let store = faulty(subject);
    inject(subject, &store, n, fault);
    let removing = written_call(user(1), asked);
    subject.note(format!("{removing}; // dropped at the gate"));
    let removal = async { remove_user(&store, user(1), asked).await.is_ok() };
    let cancelled = async {
        gate.reached().await;
        false
    };
    let ended = subject.block_on(or(removal, cancelled));
    subject.same("the removal came to its end", &false, &ended);
}

/// The cancelled removal left no change, and everybody can go on.
fn nothing_is_left<H: Harness>(subject: &Subject<'_, H>) {
    subject.holds(&office());
    subject.removes(&removal(7), &owner_leaves());
    subject.holds(&after(&office(), &owner_leaves()));
}

/// R8: `begin` is cancelled, at once or while it waits for another transaction: no open transaction, no lock.
pub fn r8_cancelled_begin<H: Harness>(lab: &Lab<H>) {
    for polls in [0, 1] {
        let subject = lab.open(&office());
        subject.note(format!("abandon_after(store.begin(), {polls}).await;"));
        subject.block_on(async { drop(abandon_after(subject.store().begin(), polls).await) });
        nothing_is_left(&subject);
    }

    let subject = lab.open(&office());
    subject.note(
        "// one transaction writes, two more wait to begin and are dropped, then the first is",
    );
    let (other, third) = (subject.connect(), subject.connect());
    let begun = subject.block_on(async {
        let mut holder = subject.store().begin().await?;
        holder.remove_member(&owner_leaves()).await?;
        drop(abandon_after(other.begin(), 1).await);
        // Long enough for one that asks the storage to have asked.
        drop(for_a_while(subject.harness().grace(), third.begin()).await);
        drop(holder);
        drop(other.begin().await?);
        third.begin().await.map(drop)
    });
    if let Err(error) = begun {
        subject.fail("transactions begin", error.report());
    }
    nothing_is_left(&subject);
}

/// Waits for a future no longer than for a time.
async fn for_a_while<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let over = Gate::default();
    let alarm = over.clone();
    thread::spawn(move || {
        thread::sleep(time);
        alarm.open();
    });
    let no_longer = async {
        over.pass().await;
        None
    };
    or(async { Some(future.await) }, no_longer).await
}

/// R8: `commit` is cancelled, at every point where the backend waits: whole or absent, and absent before its first poll.
pub fn r8_cancelled_commit<H: Harness>(lab: &Lab<H>) {
    const ENOUGH: usize = 1000;
    for polls in 0..ENOUGH {
        let subject = lab.open(&office());
        let asked = removal(7);
        let removing = written_call(user(1), &asked);
        let removing = removing.trim_end_matches(".await");
        subject.note(format!("abandon_after({removing}, {polls}).await;"));
        let store = Faulty::new(subject.connect());
        let removal = remove_user(&store, user(1), &asked);
        let Abandoned::Dropped = subject.block_on(abandon_after(removal, polls)) else {
            break;
        };
        if store.calls().last() == Some(&Call::Commit) {
            whole_or_absent(&subject);
        } else {
            nothing_is_left(&subject);
        }
    }

    let (subject, gate) = (lab.open(&office()), Gate::default());
    let fault = Fault::StallAfter(gate.clone());
    cancel_at(&subject, &removal(7), &gate, commit(lab), fault);
    subject.holds(&after(&office(), &owner_leaves()));
    whole_or_absent(&subject);
}

/// The cancelled removal is whole or absent. Its commit may still be under way when it is first looked at, but no longer
/// when the removal is repeated, which waits for it and makes it whole.
fn whole_or_absent<H: Harness>(subject: &Subject<'_, H>) {
    let whole = after(&office(), &owner_leaves());
    let seen = subject.dump();
    let absent = difference(&office(), &seen).is_none();
    if !absent && difference(&whole, &seen).is_some() {
        subject.fail("all of the change or nothing of it", format_args!("{seen:?}"));
    }
    let accepting = removal(7).if_absent(IfAbsent::Accept);
    match subject.remove(user(1), &accepting) {
        Ok(Ok(Outcome::Removed(change))) if absent => {
            subject.same("the change", &owner_leaves(), &change);
        }
        reply => {
            let expected = Outcome::AlreadyAbsent { chat: chat(8773) };
            subject.same("the repeated answer", &Ok(Ok(expected)), &reply);
        }
    }
    subject.holds(&whole);
}

/// The same request, asked again, ends in one change and one record: it makes the change where there is none yet, and else
/// finds the user gone.
fn converges<H: Harness>(subject: &Subject<'_, H>, store: &impl Store, asked: &Removal) {
    let whole = after(&office(), &owner_leaves());
    if subject.compare(&whole).is_err() {
        let reply = subject.remove_by(store, user(1), asked);
        let made = Outcome::Removed(owner_leaves());
        subject.same("the repeated answer", &Ok(Ok(made)), &reply);
        subject.holds(&whole);
    }
    let gone = Refusal::NotAMember { user: user(7), chat: chat(8773) };
    let absent = Outcome::AlreadyAbsent { chat: chat(8773) };
    for (option, expected) in [(IfAbsent::Refuse, Err(gone)), (IfAbsent::Accept, Ok(absent))] {
        let reply = subject.remove_by(store, user(1), &asked.if_absent(option));
        subject.same("the repeated answer", &Ok(expected), &reply);
    }
    subject.holds(&whole);
}

/// K3: the store fails at the n-th call, for every n, before its effect, and the rollback may fail too: nothing is
/// changed, and the same request then succeeds.
pub fn k3_failure_before_a_call<H: Harness>(lab: &Lab<H>) {
    for ((asked, n, _), kind) in calls(lab).into_iter().zip(KINDS.into_iter().cycle()) {
        for rollback_fails in [false, true] {
            let subject = lab.open(&office());
            let store = faulty(&subject);
            if rollback_fails {
                let fault = Fault::Before(StoreErrorKind::Unavailable);
                inject(&subject, &store, n + 1, fault);
            }
            let reply = strike(&subject, &store, &asked, n, Fault::Before(kind));
            subject.same("the answer", &Err(kind), &reply);
            subject.holds(&office());
            store.heal();
            converges(&subject, &store, &asked);
        }
    }
}

/// K3: the store fails at the n-th call, for every n, after its effect: whole or absent; a commit that happened but
/// reports failure is *outcome unknown*, and the repeated request gives rule 12 or *already absent*.
pub fn k3_failure_after_a_call<H: Harness>(lab: &Lab<H>) {
    for ((asked, n, call), kind) in calls(lab).into_iter().zip(KINDS.into_iter().cycle()) {
        let subject = lab.open(&office());
        let store = faulty(&subject);
        let reply = strike(&subject, &store, &asked, n, Fault::After(kind));
        if call == Call::Commit {
            subject.same("the answer", &Err(StoreErrorKind::OutcomeUnknown), &reply);
            subject.holds(&after(&office(), &owner_leaves()));
        } else {
            subject.same("the answer", &Err(kind), &reply);
            subject.holds(&office());
        }
        converges(&subject, &store, &asked);
    }
}

/// K3: the store fails at the n-th call of a batch, for every n, before its effect or after it: all of the batch or
/// nothing, and the same batch then succeeds.
pub fn k3_failure_in_a_batch<H: Harness>(lab: &Lab<H>) {
    let (batch, answers, whole) = batch();
    for (n, call) in (1..).zip(calls_of_batch(lab)) {
        for fault in [Fault::Before, Fault::After] {
            let fault = fault(StoreErrorKind::Other);
            let happened = happened(&call, &fault);
            let subject = lab.open(&office());
            let store = faulty(&subject);
            inject(&subject, &store, n, fault);
            let answered = subject.remove_all_by(&store, &batch);
            subject.same("the batch is answered", &false, &answered.is_ok());
            if !happened {
                subject.holds(&office());
                let repeated = subject.remove_all_by(&store, &batch);
                subject.same("the repeated answers", &Ok(answers.clone()), &repeated);
            }
            subject.holds(&whole);
        }
    }
}

/// N4: the store cannot say whether the user is a member: store error, no refusal. Shown on the backend's own storage
/// where the harness can [damage](Harness::damage) it, and on an injected fault everywhere.
pub fn n4_storage_failure_is_no_refusal<H: Harness>(lab: &Lab<H>) {
    let is_role = |call: &Call| matches!(call, Call::Role { .. });
    let options = [IfAbsent::Refuse, IfAbsent::Accept];
    for (asked, n, _) in calls(lab).into_iter().filter(|(.., call)| is_role(call)) {
        for (kind, option) in
            KINDS.into_iter().flat_map(|kind| options.map(|option| (kind, option)))
        {
            let subject = lab.open(&office());
            let store = faulty(&subject);
            let asked = asked.if_absent(option);
            let reply = strike(&subject, &store, &asked, n, Fault::Before(kind));
            subject.same("the answer", &Err(kind), &reply);
        }
    }

    for if_absent in options {
        let subject = lab.open(&office());
        if subject.block_on(subject.harness().damage(subject.place())) {
            subject.note("// the storage cannot tell who is a member");
            let reply = subject.remove(user(1), &removal(12).if_absent(if_absent));
            if reply.is_ok() || reply == Err(StoreErrorKind::Conflict) {
                subject.fail("a storage failure, and no conflict", format!("{reply:?}"));
            }
        }
    }
}
