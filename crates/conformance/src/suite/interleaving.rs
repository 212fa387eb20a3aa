//! Makes two participants of a race meet between their reads and their writes.

use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crm_chat_domain::{StoreError, StoreErrorKind};

use super::harness::Harness;
use super::test_store::TestStore;
use crate::doubles::{Intercepted, Interceptor, PortCall, Returned};

/// The store of one participant, which pauses at the sync point.
pub(super) type ParticipantStore<H> = Intercepted<<H as Harness>::Store, Participant>;

/// The point in a transaction at which a participant waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncPoint {
    /// After `begin`, before the first query.
    Begun,
    /// Before the query for the right to remove, after the one for access.
    Between,
    /// After the last query, before the write; before the commit if nothing is written.
    Write,
    /// After the first write, before anything that follows it.
    Written,
    /// Before the commit.
    Commit,
}

/// Runs two participants concurrently. Each waits at the sync point for the other; `first` then
/// continues first.
pub(super) fn run_both<H: Harness, A: Send, B: Send>(
    test_store: &TestStore<'_, H>,
    point: SyncPoint,
    first: impl FnOnce(ParticipantStore<H>) -> A,
    second: impl FnOnce(ParticipantStore<H>) -> B + Send,
) -> (A, B) {
    let interleaving = Interleaving::new(test_store.harness().rendezvous_timeout());
    let store =
        |order| Intercepted::new(test_store.connect(), interleaving.participant(order, point));
    let (first_store, second_store) = (store(Order::First), store(Order::Second));
    let results = thread::scope(|scope| {
        let second = scope.spawn(|| {
            let result = second(second_store);
            interleaving.complete(Order::Second);
            result
        });
        let result = first(first_store);
        interleaving.complete(Order::First);
        (result, second.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    record_meeting(test_store, &interleaving, point);
    results
}

/// Runs `removal`, which waits at the sync point until `act` has completed.
pub(super) fn run_during<H: Harness, A: Send, B: Send>(
    test_store: &TestStore<'_, H>,
    point: SyncPoint,
    removal: impl FnOnce(ParticipantStore<H>) -> A + Send,
    act: impl FnOnce() -> B,
) -> (A, B) {
    let interleaving = Interleaving::new(test_store.harness().rendezvous_timeout());
    let participant = interleaving.participant(Order::Second, point);
    let store = Intercepted::new(test_store.connect(), participant);
    let results = thread::scope(|scope| {
        let removal = scope.spawn(|| {
            let result = removal(store);
            interleaving.complete(Order::Second);
            result
        });
        let result = interleaving.run_first(act);
        (removal.join().unwrap_or_else(|panic| resume_unwind(panic)), result)
    });
    record_meeting(test_store, &interleaving, point);
    results
}

fn record_meeting<H: Harness>(
    test_store: &TestStore<'_, H>,
    interleaving: &Interleaving,
    point: SyncPoint,
) {
    let met =
        if interleaving.state().met { "met" } else { "did not meet: one waited for the other" };
    test_store.record(format!("// the two ran concurrently and {met} (at {point:?})"));
}

/// The meeting of two participants, each on a thread of its own.
///
/// Both have read before either writes, if the backend permits it. The first participant continues
/// once both have arrived; the second, once the first has completed.
///
/// A participant that is kept from arriving by the other's locks is waited for no longer than the
/// [timeout](Harness::rendezvous_timeout). The race then shows less, but its result is still valid.
#[derive(Debug)]
struct Interleaving {
    state: Mutex<InterleavingState>,
    changed: Condvar,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct InterleavingState {
    /// The stage of each participant, by [`Order`].
    stages: [Stage; 2],
    met: bool,
}

/// The progress of a participant. It only ever increases, which is what the waits rely on: a wait
/// for a stage also ends if the participant has skipped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Idle,
    Begun,
    Arrived,
    Left,
    Completed,
}

impl Interleaving {
    fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), timeout })
    }

    fn participant(self: &Arc<Self>, order: Order, point: SyncPoint) -> Participant {
        Participant { interleaving: Arc::clone(self), order, point }
    }

    /// Runs `act` as the first participant, once the second has arrived.
    fn run_first<R>(&self, act: impl FnOnce() -> R) -> R {
        self.reach(Order::First, Stage::Begun);
        self.wait_for(Order::Second, Stage::Arrived);
        self.arrive(Order::First);
        self.reach(Order::First, Stage::Left);
        let result = act();
        self.complete(Order::First);
        result
    }

    fn complete(&self, order: Order) {
        self.reach(order, Stage::Completed);
    }

    fn state(&self) -> MutexGuard<'_, InterleavingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, order: Order, target: Stage) {
        let mut state = self.state();
        let reached = &mut state.stages[order as usize];
        // A retried transaction begins again; its participant must not fall back.
        *reached = target.max(*reached);
        self.changed.notify_all();
    }

    fn arrive(&self, order: Order) {
        // Set the stage and `met` under one lock. Otherwise the other participant could leave in
        // between, and a meeting would be missed.
        let mut state = self.state();
        let reached = &mut state.stages[order as usize];
        *reached = Stage::Arrived.max(*reached);
        state.met |= state.stages == [Stage::Arrived; 2];
        self.changed.notify_all();
    }

    fn wait_for(&self, order: Order, target: Stage) {
        let state = self.state();
        let is_behind = |state: &mut InterleavingState| state.stages[order as usize] < target;
        // After a timeout the participant continues alone.
        let waited = self.changed.wait_timeout_while(state, self.timeout, is_behind);
        drop(waited);
    }

    /// Waits at the sync point. Only the first call waits: a retry of the transaction passes.
    fn rendezvous(&self, order: Order) {
        if self.state().stages[order as usize] >= Stage::Arrived {
            return;
        }
        self.arrive(order);
        match order {
            Order::First => self.wait_for(Order::Second, Stage::Arrived),
            Order::Second => self.wait_for(Order::First, Stage::Completed),
        }
        self.reach(order, Stage::Left);
    }
}

/// The order in which the participants continue after they have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The participant that begins and writes first.
    First,
    /// The other participant.
    Second,
}

/// The interceptor of one participant of an [`Interleaving`].
#[derive(Debug)]
pub(super) struct Participant {
    interleaving: Arc<Interleaving>,
    order: Order,
    point: SyncPoint,
}

impl Participant {
    fn pauses_before(&self, call: &PortCall) -> bool {
        match self.point {
            SyncPoint::Begun | SyncPoint::Written => false,
            SyncPoint::Between => matches!(call, PortCall::MayRemove { .. }),
            SyncPoint::Write => matches!(call, PortCall::RemoveMember(_) | PortCall::Commit),
            SyncPoint::Commit => *call == PortCall::Commit,
        }
    }

    fn pauses_after(&self, call: &PortCall) -> bool {
        match self.point {
            SyncPoint::Begun => *call == PortCall::Begin,
            SyncPoint::Written => matches!(call, PortCall::RemoveMember(_)),
            SyncPoint::Between | SyncPoint::Write | SyncPoint::Commit => false,
        }
    }
}

/// Blocks the thread instead of yielding: each participant has a thread of its own, and the wait
/// must not depend on the backend's runtime.
impl Interceptor for Participant {
    type Session = ();

    async fn before(&self, (): &mut (), call: &PortCall) -> Result<(), StoreError> {
        if *call == PortCall::Begin && self.order == Order::Second {
            // On a backend with locks, the first participant must take them first.
            self.interleaving.wait_for(Order::First, Stage::Begun);
        }
        if self.pauses_before(call) {
            self.interleaving.rendezvous(self.order);
        }
        Ok(())
    }

    async fn after(
        &self,
        (): &mut (),
        call: &PortCall,
        _: Result<Returned, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        if *call == PortCall::Begin {
            self.interleaving.reach(self.order, Stage::Begun);
        }
        if self.pauses_after(call) {
            self.interleaving.rendezvous(self.order);
        }
        Ok(())
    }
}
