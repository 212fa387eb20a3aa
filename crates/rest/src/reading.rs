//! The memory that request bodies take, bounded for all of them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The share of callers who are unknown while their bodies arrive, as a fraction of all: one in so
/// many bytes.
const UNKNOWN_SHARE: usize = 8;

/// The two pools of bytes from which bodies are read.
#[derive(Debug)]
pub(crate) struct ReadingBudget {
    /// For callers whose credentials are in the head, and good.
    pub(crate) known: Arc<Pool>,
    /// For all others. Anybody can fill it, hence a pool apart.
    pub(crate) unknown: Arc<Pool>,
}

impl ReadingBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let unknown = bytes / UNKNOWN_SHARE;
        Self {
            known: Arc::new(Pool::new(bytes - unknown, NoRoomError::Known)),
            unknown: Arc::new(Pool::new(unknown, NoRoomError::Unknown)),
        }
    }

    /// Returns the number of bodies that are arriving, and of the bytes held by these and by calls
    /// at work.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let [known, unknown] = [&self.known, &self.unknown].map(|pool| {
            let state = pool.lock();
            (state.arriving.len(), state.used)
        });
        (known.0 + unknown.0, known.1 + unknown.1)
    }
}

/// A number of bytes that bodies share.
#[derive(Debug)]
pub(crate) struct Pool {
    capacity: usize,
    error: NoRoomError,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes of all bodies, those of calls at work included.
    used: usize,
    /// The number of the next body.
    next: u64,
    /// The bodies that are still arriving, the oldest first. Only these can be given up.
    arriving: BTreeMap<u64, Arriving>,
}

#[derive(Debug)]
struct Arriving {
    bytes: usize,
    given_up: Arc<Notify>,
}

/// The error returned if a body is given up because its pool has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoomError {
    #[error("too much is being sent at a time: repeat later")]
    Known,
    #[error(
        "too much is being sent at a time by callers who are not known yet: repeat later, \
         or send the token in the header `Authorization` or in the query"
    )]
    Unknown,
}

impl Pool {
    fn new(capacity: usize, error: NoRoomError) -> Self {
        Self { capacity, error, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read a body, which holds nothing yet.
    pub(crate) fn begin(self: &Arc<Self>) -> Reservation {
        let given_up = Arc::new(Notify::new());
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let arriving = Arriving { bytes: 0, given_up: Arc::clone(&given_up) };
        state.arriving.insert(number, arriving);
        Reservation { pool: Arc::clone(self), number, given_up, completed: 0 }
    }
}

impl State {
    /// Gives up a body that is arriving, if it still is.
    fn give_up(&mut self, number: u64) {
        if let Some(body) = self.arriving.remove(&number) {
            self.used -= body.bytes;
            body.given_up.notify_one();
        }
    }

    /// Makes room by giving up bodies that began before `number`, the oldest first. Those who send
    /// slowly are given up, and a full pool does not keep others out. Returns whether there is
    /// room; if not, none is given up.
    fn make_room(&mut self, number: u64, more: usize, capacity: usize) -> bool {
        let mut missing = (self.used + more).saturating_sub(capacity);
        let mut oldest = Vec::new();
        for (&older, body) in self.arriving.range(..number) {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(body.bytes);
            oldest.push(older);
        }
        if missing > 0 {
            return false;
        }
        for older in oldest {
            self.give_up(older);
        }
        true
    }
}

/// The bytes that one body takes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    pool: Arc<Pool>,
    number: u64,
    given_up: Arc<Notify>,
    /// The bytes of a body that has arrived.
    completed: usize,
}

impl Reservation {
    /// Takes more bytes.
    pub(crate) fn take(&mut self, more: usize) -> Result<(), NoRoomError> {
        let mut state = self.pool.lock();
        if !state.make_room(self.number, more, self.pool.capacity) {
            state.give_up(self.number);
        }
        let body = state.arriving.get_mut(&self.number).ok_or(self.error())?;
        body.bytes += more;
        state.used += more;
        Ok(())
    }

    /// Gives back what was taken, of a body that is read on but not kept.
    pub(crate) fn give_back(&mut self) {
        let mut state = self.pool.lock();
        if let Some(body) = state.arriving.get_mut(&self.number) {
            let bytes = std::mem::take(&mut body.bytes);
            state.used -= bytes;
        }
    }

    /// Waits until the body is given up to make room for others.
    pub(crate) async fn given_up(&self) -> NoRoomError {
        self.given_up.notified().await;
        self.error()
    }

    fn error(&self) -> NoRoomError {
        self.pool.error
    }

    /// Keeps the bytes of a body that has arrived: it is not given up any more.
    pub(crate) fn complete(&mut self) -> Result<(), NoRoomError> {
        let mut state = self.pool.lock();
        let body = state.arriving.remove(&self.number).ok_or(self.error())?;
        self.completed = body.bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.used -= self.completed;
        if let Some(body) = state.arriving.remove(&self.number) {
            state.used -= body.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn pool(capacity: usize) -> Arc<Pool> {
        Arc::new(Pool::new(capacity, NoRoomError::Known))
    }

    fn is_given_up(body: &Reservation) -> bool {
        block_on(poll_once(body.given_up())).is_some()
    }

    #[test]
    fn bytes_are_given_back_when_a_body_is_dropped_or_not_kept() {
        let pool = pool(10);
        let mut first = pool.begin();
        first.take(10).expect("there is room");
        first.give_back();
        first.take(10).expect("there is room again");
        first.complete().expect("it has arrived");
        drop(first);
        let mut second = pool.begin();
        second.take(10).expect("there is room again");
        drop(second);
        assert_eq!(pool.lock().used, 0);
        assert!(pool.lock().arriving.is_empty());
    }

    #[test]
    fn oldest_body_is_given_up_where_there_is_no_room() {
        let pool = pool(10);
        let [mut oldest, mut older, mut newest] = [(); 3].map(|()| pool.begin());
        for body in [&mut oldest, &mut older] {
            body.take(5).expect("there is room");
        }
        newest.take(1).expect("room is made");
        assert!(is_given_up(&oldest) && !is_given_up(&older) && !is_given_up(&newest));
        assert_eq!(oldest.take(1), Err(NoRoomError::Known));
        assert_eq!(oldest.complete(), Err(NoRoomError::Known));
        assert_eq!(pool.lock().used, 6);
        drop(oldest);
        assert_eq!(pool.lock().used, 6);
    }

    #[test]
    fn body_is_given_up_itself_if_older_ones_would_not_make_enough_room() {
        let pool = pool(10);
        let [mut at_work, mut older, mut newest] = [(); 3].map(|()| pool.begin());
        at_work.take(8).expect("there is room");
        at_work.complete().expect("it has arrived");
        older.take(1).expect("there is room");
        assert_eq!(newest.take(5), Err(NoRoomError::Known));
        assert!(!is_given_up(&older), "in vain");
        assert_eq!(pool.lock().used, 9);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        Take(Index, usize),
        GiveBack(Index),
        Complete(Index),
        Drop(Index),
    }

    fn arb_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Begin),
            4 => (any::<Index>(), 0..12_usize).prop_map(|(body, more)| Step::Take(body, more)),
            1 => any::<Index>().prop_map(Step::GiveBack),
            1 => any::<Index>().prop_map(Step::Complete),
            1 => any::<Index>().prop_map(Step::Drop),
        ]
    }

    /// Takes a step. One with a body begins a body if there is none.
    fn take(step: &Step, pool: &Arc<Pool>, bodies: &mut Vec<Reservation>) {
        let length = bodies.len();
        match step {
            _ if length == 0 => bodies.push(pool.begin()),
            Step::Begin => bodies.push(pool.begin()),
            Step::Take(body, more) => {
                let number = bodies[body.index(length)].number;
                let newer = newer_bytes(pool, number);
                let taken = bodies[body.index(length)].take(*more);
                // Bodies that began later are never given up for this one.
                assert_eq!(newer_bytes(pool, number), newer, "{taken:?}");
            }
            Step::GiveBack(body) => bodies[body.index(length)].give_back(),
            Step::Complete(body) => {
                // A body that was given up cannot complete.
                let _ = bodies[body.index(length)].complete();
            }
            Step::Drop(body) => drop(bodies.swap_remove(body.index(length))),
        }
    }

    fn newer_bytes(pool: &Pool, number: u64) -> usize {
        let state = pool.lock();
        let newer = state.arriving.range(number + 1..);
        newer.map(|(_, body)| body.bytes).sum()
    }

    // A failure prints the steps; `PROPTEST_CASES=100000` looks longer.
    proptest! {
        #[test]
        fn bytes_in_use_are_those_of_living_bodies_and_never_exceed_the_capacity(
            steps in vec(arb_step(), 0..60),
        ) {
            let pool = pool(20);
            let mut bodies = Vec::new();
            for step in steps {
                take(&step, &pool, &mut bodies);
                let state = pool.lock();
                let arriving = state.arriving.values().map(|body| body.bytes);
                let completed = bodies.iter().map(|body| body.completed);
                let expected = arriving.sum::<usize>() + completed.sum::<usize>();
                prop_assert_eq!(state.used, expected);
                prop_assert!(state.used <= 20, "{:?}", state);
            }
            bodies.clear();
            prop_assert_eq!(pool.lock().used, 0);
        }
    }
}
