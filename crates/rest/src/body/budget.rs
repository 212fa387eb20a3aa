//! The memory budget that all request bodies share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The divisor that determines the share of unauthenticated callers: one byte in this many.
const UNAUTHENTICATED_SHARE: usize = 8;

/// The two pools of memory for request bodies.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    /// For callers who were authenticated by the head.
    pub(crate) authenticated: Arc<Pool>,
    /// For all other callers. It is separate because any client can exhaust it.
    pub(crate) unauthenticated: Arc<Pool>,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let unauthenticated = bytes / UNAUTHENTICATED_SHARE;
        Self {
            authenticated: Arc::new(Pool::new(bytes - unauthenticated, NoRoomError::Authenticated)),
            unauthenticated: Arc::new(Pool::new(unauthenticated, NoRoomError::Unauthenticated)),
        }
    }

    /// Returns the number of bodies that are arriving, and the number of bytes held by these and by
    /// calls in flight.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let [(bodies, bytes), (more_bodies, more_bytes)] =
            [&self.authenticated, &self.unauthenticated].map(|pool| {
                let state = pool.lock();
                (state.arriving.len(), state.used)
            });
        (bodies + more_bodies, bytes + more_bytes)
    }
}

/// A number of bytes that several bodies share.
///
/// A full pool evicts the bodies that have been arriving for longest. Refusing new bodies instead
/// would allow a few slow clients to block all others until their bodies time out.
#[derive(Debug)]
pub(crate) struct Pool {
    capacity: usize,
    error: NoRoomError,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// The bytes of all bodies, including those of calls in flight.
    used: usize,
    /// The number of the next body.
    next: u64,
    /// The bodies that are still arriving, oldest first. Only these can be evicted.
    arriving: BTreeMap<u64, Arriving>,
}

#[derive(Debug)]
struct Arriving {
    bytes: usize,
    evicted: Arc<Notify>,
}

/// The error returned if a pool has no room for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoomError {
    #[error("too many request bodies are arriving: retry later")]
    Authenticated,
    #[error(
        "too many request bodies are arriving from unauthenticated clients: retry later, or send \
         the token in the header `Authorization` or in the query"
    )]
    Unauthenticated,
}

impl Pool {
    fn new(capacity: usize, error: NoRoomError) -> Self {
        Self { capacity, error, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // A poisoned lock is fine: no code that holds it can panic between two related changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a body, which holds no bytes yet.
    pub(crate) fn reserve(self: &Arc<Self>) -> Reservation {
        let evicted = Arc::new(Notify::new());
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let arriving = Arriving { bytes: 0, evicted: Arc::clone(&evicted) };
        state.arriving.insert(number, arriving);
        Reservation { pool: Arc::clone(self), number, evicted, completed: 0 }
    }
}

impl PoolState {
    /// Evicts a body if it is still arriving.
    fn evict(&mut self, number: u64) {
        if let Some(body) = self.arriving.remove(&number) {
            self.used -= body.bytes;
            body.evicted.notify_one();
        }
    }

    /// Makes room for `more` bytes of a body by evicting older ones, oldest first. Returns `false`
    /// if even that would not suffice; no body is evicted then.
    ///
    /// Newer bodies are never evicted, so that slow senders make way for fast ones.
    fn make_room(&mut self, number: u64, more: usize, capacity: usize) -> bool {
        let mut missing = (self.used + more).saturating_sub(capacity);
        let mut evicted = Vec::new();
        for (&older, body) in self.arriving.range(..number) {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(body.bytes);
            evicted.push(older);
        }
        if missing > 0 {
            return false;
        }
        for older in evicted {
            self.evict(older);
        }
        true
    }
}

/// The bytes that one body holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    pool: Arc<Pool>,
    number: u64,
    evicted: Arc<Notify>,
    /// The size of the body once it has arrived completely, 0 until then.
    completed: usize,
}

impl Reservation {
    /// Reserves more bytes.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), NoRoomError> {
        let mut state = self.pool.lock();
        if !state.make_room(self.number, more, self.pool.capacity) {
            state.evict(self.number);
        }
        let body = state.arriving.get_mut(&self.number).ok_or(self.error())?;
        body.bytes += more;
        state.used += more;
        Ok(())
    }

    /// Returns all bytes to the pool, for a body that is still received but no longer kept.
    pub(crate) fn release(&mut self) {
        let mut state = self.pool.lock();
        if let Some(body) = state.arriving.get_mut(&self.number) {
            let bytes = std::mem::take(&mut body.bytes);
            state.used -= bytes;
        }
    }

    /// Waits until the body is evicted to make room for others.
    pub(crate) async fn evicted(&self) -> NoRoomError {
        self.evicted.notified().await;
        self.error()
    }

    fn error(&self) -> NoRoomError {
        self.pool.error
    }

    /// Marks the body as arrived, after which it cannot be evicted.
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
        Arc::new(Pool::new(capacity, NoRoomError::Authenticated))
    }

    fn is_evicted(body: &Reservation) -> bool {
        block_on(poll_once(body.evicted())).is_some()
    }

    #[test]
    fn dropped_and_released_bodies_return_their_bytes() {
        let pool = pool(10);
        let mut first = pool.reserve();
        first.grow(10).expect("room");
        first.release();
        first.grow(10).expect("room again");
        first.complete().expect("a complete body");
        drop(first);
        let mut second = pool.reserve();
        second.grow(10).expect("room again");
        drop(second);
        assert_eq!(pool.lock().used, 0);
        assert!(pool.lock().arriving.is_empty());
    }

    #[test]
    fn oldest_body_is_evicted_if_there_is_no_room() {
        let pool = pool(10);
        let [mut oldest, mut older, mut newest] = [(); 3].map(|()| pool.reserve());
        for body in [&mut oldest, &mut older] {
            body.grow(5).expect("room");
        }
        newest.grow(1).expect("room after an eviction");
        assert!(is_evicted(&oldest) && !is_evicted(&older) && !is_evicted(&newest));
        assert_eq!(oldest.grow(1), Err(NoRoomError::Authenticated));
        assert_eq!(oldest.complete(), Err(NoRoomError::Authenticated));
        assert_eq!(pool.lock().used, 6);
        drop(oldest);
        assert_eq!(pool.lock().used, 6);
    }

    #[test]
    fn body_is_evicted_if_evicting_older_ones_would_not_suffice() {
        let pool = pool(10);
        let [mut in_flight, mut older, mut newest] = [(); 3].map(|()| pool.reserve());
        in_flight.grow(8).expect("room");
        in_flight.complete().expect("a complete body");
        older.grow(1).expect("room");
        assert_eq!(newest.grow(5), Err(NoRoomError::Authenticated));
        assert!(!is_evicted(&older), "the eviction would not help");
        assert_eq!(pool.lock().used, 9);
    }

    #[derive(Clone, Debug)]
    enum PoolStep {
        Reserve,
        Grow(Index, usize),
        Release(Index),
        Complete(Index),
        Drop(Index),
    }

    fn arb_step() -> impl Strategy<Value = PoolStep> {
        prop_oneof![
            2 => Just(PoolStep::Reserve),
            4 => (any::<Index>(), 0..12_usize).prop_map(|(body, more)| PoolStep::Grow(body, more)),
            1 => any::<Index>().prop_map(PoolStep::Release),
            1 => any::<Index>().prop_map(PoolStep::Complete),
            1 => any::<Index>().prop_map(PoolStep::Drop),
        ]
    }

    /// Performs a step. Steps that need a body reserve one if there is none.
    fn perform(step: &PoolStep, pool: &Arc<Pool>, bodies: &mut Vec<Reservation>) {
        let length = bodies.len();
        match step {
            _ if length == 0 => bodies.push(pool.reserve()),
            PoolStep::Reserve => bodies.push(pool.reserve()),
            PoolStep::Grow(body, more) => {
                let number = bodies[body.index(length)].number;
                let newer = newer_bytes(pool, number);
                let result = bodies[body.index(length)].grow(*more);
                // Newer bodies are never evicted in favour of this one.
                assert_eq!(newer_bytes(pool, number), newer, "{result:?}");
            }
            PoolStep::Release(body) => bodies[body.index(length)].release(),
            PoolStep::Complete(body) => {
                // Fails if the body was evicted.
                let _ = bodies[body.index(length)].complete();
            }
            PoolStep::Drop(body) => drop(bodies.swap_remove(body.index(length))),
        }
    }

    fn newer_bytes(pool: &Pool, number: u64) -> usize {
        let state = pool.lock();
        let newer = state.arriving.range(number + 1..);
        newer.map(|(_, body)| body.bytes).sum()
    }

    // A failure prints the steps. Use `PROPTEST_CASES=100000` to run more cases.
    proptest! {
        #[test]
        fn used_bytes_equal_those_of_live_bodies_and_never_exceed_the_capacity(
            steps in vec(arb_step(), 0..60),
        ) {
            let pool = pool(20);
            let mut bodies = Vec::new();
            for step in steps {
                perform(&step, &pool, &mut bodies);
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
