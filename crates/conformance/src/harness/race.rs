//! Two sides that meet between their reads and their writes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crm_chat_domain::{StoreError, StoreErrorKind};

use crate::faults::{Call, Tap, Told};

/// Where a side of a race waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// After `begin`, before the first question.
    Begun,
    /// Before the question for a right, after those for access.
    Between,
    /// After the last question, before the write; before the commit, if nothing is written.
    Write,
    /// After the first write, before whatever follows it.
    Written,
    /// Before the commit.
    Commit,
}

/// Where two sides meet, each on a thread of its own: both have read before either writes, if the backend lets them.
///
/// One side, the first, goes on when both have come; the second when the first has ended. A side that the other's locks
/// keep from coming is waited for no longer than the [grace](crate::Harness::grace): the race is weaker then, and right
/// all the same.
#[derive(Debug)]
pub(crate) struct Race {
    state: Mutex<State>,
    changed: Condvar,
    grace: Duration,
}

#[derive(Debug, Default)]
struct State {
    reached: [Progress; 2],
    met: bool,
}

/// How far a side has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    #[default]
    Away,
    Begun,
    Arrived,
    Left,
    Ended,
}

impl Race {
    /// Sets up a race whose sides wait no longer than `grace` for each other.
    pub(crate) fn new(grace: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), grace })
    }

    /// Makes the tap of the side that is to write first, or of the other.
    pub(crate) fn side(self: &Arc<Self>, order: Order, point: Point) -> Side {
        Side { race: Arc::clone(self), order, point }
    }

    /// Tells whether both sides had come to their points before either went on.
    pub(crate) fn met(&self) -> bool {
        self.state().met
    }

    /// Runs the first side, if it is no removal: when the other has come to its point.
    pub(crate) fn intervene<R>(&self, act: impl FnOnce() -> R) -> R {
        self.reach(Order::First, Progress::Begun);
        self.wait_for(Order::Second, Progress::Arrived);
        self.arrive(Order::First);
        self.reach(Order::First, Progress::Left);
        let result = act();
        self.end(Order::First);
        result
    }

    /// Says that a side has ended.
    pub(crate) fn end(&self, order: Order) {
        self.reach(order, Progress::Ended);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, order: Order, progress: Progress) {
        let mut state = self.state();
        let reached = &mut state.reached[order as usize];
        *reached = progress.max(*reached);
        self.changed.notify_all();
    }

    fn arrive(&self, order: Order) {
        // Under one lock: the other must not leave before it is seen that both are there.
        let mut state = self.state();
        let reached = &mut state.reached[order as usize];
        *reached = Progress::Arrived.max(*reached);
        state.met |= state.reached == [Progress::Arrived; 2];
        self.changed.notify_all();
    }

    fn wait_for(&self, order: Order, progress: Progress) {
        let state = self.state();
        let behind = |state: &mut State| state.reached[order as usize] < progress;
        let waited = self.changed.wait_timeout_while(state, self.grace, behind);
        drop(waited);
    }

    /// Waits at the meeting point, once.
    fn meet(&self, order: Order) {
        if self.state().reached[order as usize] >= Progress::Arrived {
            return;
        }
        self.arrive(order);
        match order {
            Order::First => self.wait_for(Order::Second, Progress::Arrived),
            Order::Second => self.wait_for(Order::First, Progress::Ended),
        }
        self.reach(order, Progress::Left);
    }
}

/// Which side goes on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one that begins and writes first.
    First,
    /// The other.
    Second,
}

/// The tap of one side of a [`Race`].
#[derive(Debug)]
pub(crate) struct Side {
    race: Arc<Race>,
    order: Order,
    point: Point,
}

impl Side {
    fn stands_before(&self, call: &Call) -> bool {
        match self.point {
            Point::Begun | Point::Written => false,
            Point::Between => matches!(call, Call::MayRemove { .. }),
            Point::Write => matches!(call, Call::RemoveMember(_) | Call::Commit),
            Point::Commit => *call == Call::Commit,
        }
    }

    fn stands_after(&self, call: &Call) -> bool {
        match self.point {
            Point::Begun => *call == Call::Begin,
            Point::Written => matches!(call, Call::RemoveMember(_)),
            Point::Between | Point::Write | Point::Commit => false,
        }
    }
}

/// It blocks the thread: each side has one of its own.
impl Tap for Side {
    type Session = ();

    async fn before(&self, (): &mut (), call: &Call) -> Result<(), StoreError> {
        if *call == Call::Begin && self.order == Order::Second {
            self.race.wait_for(Order::First, Progress::Begun);
        }
        if self.stands_before(call) {
            self.race.meet(self.order);
        }
        Ok(())
    }

    async fn after(
        &self,
        (): &mut (),
        call: &Call,
        _: Result<Told, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        if *call == Call::Begin {
            self.race.reach(self.order, Progress::Begun);
        }
        if self.stands_after(call) {
            self.race.meet(self.order);
        }
        Ok(())
    }
}
