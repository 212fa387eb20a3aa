//! How two sides are brought together.

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::thread;

use crm_chat_domain::Snapshot;

use crate::faults::Tapped;
use crate::fixtures::{chat, removal, user};
use crate::{Harness, Order, Point, Race, Reply, Side, Subject};

/// The store of one side of a race.
pub(in crate::cases) type SideOf<H> = Tapped<<H as Harness>::Store, Side>;

/// Runs two sides at once. Each waits at the point for the other; `first` then goes on first.
pub(super) fn duel<H: Harness, A: Send, B: Send>(
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
        (came, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    note_meeting(subject, &race, point);
    came
}

/// Runs a removal, which waits at the point until `act` has ended.
pub(in crate::cases) fn beside<H: Harness, A: Send, B: Send>(
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
        (removal.join().unwrap_or_else(|panic| resume_unwind(panic)), came)
    });
    note_meeting(subject, &race, point);
    came
}

fn note_meeting<H: Harness>(subject: &Subject<'_, H>, race: &Race, point: Point) {
    let met = if race.met() { "met" } else { "did not meet: one waited for the other" };
    subject.note(format!("// the two ran at once and {met} (at {point:?})"));
}

/// Checks that what came, and what is committed, is one of what the serial orders give.
#[track_caller]
pub(super) fn one_of<H: Harness, R: PartialEq + Debug>(
    subject: &Subject<'_, H>,
    came: &R,
    orders: &[(R, Snapshot)],
) {
    let given = orders.iter().filter(|(expected, _)| expected == came);
    let compared: Vec<_> = given.map(|(_, state)| subject.compare(state)).collect();
    if compared.iter().any(Result::is_ok) {
        return;
    }
    if let Some(difference) = compared.into_iter().find_map(Result::err) {
        subject.fail("", format!("after {came:?}\n{difference}"));
    }
    let expected: Vec<_> = orders.iter().map(|(expected, _)| expected).collect();
    subject.fail(&format!("one of {expected:?}"), format!("{came:?}"))
}

/// The side of a race that removes a user.
pub(super) fn removing<'s, H: Harness>(
    subject: &'s Subject<'_, H>,
    id: i64,
) -> impl FnOnce(SideOf<H>) -> Reply + Send + 's {
    move |store| subject.remove_by(&store, user(1), &removal(id).in_chat(chat(8773)))
}
