//! A decorator that records port calls and injects faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::OnceCell;
use crm_chat_domain::{Store, StoreError, StoreErrorKind};

use super::intercept::{Intercepted, InterceptedTransaction, Interceptor, PortCall, Returned};

/// A fault of one port call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails without having had an effect.
    Before(StoreErrorKind),
    /// The call has its effect and fails nevertheless. A commit that took effect is reported as
    /// [`StoreErrorKind::OutcomeUnknown`], whatever the kind: any other would be wrong.
    After(StoreErrorKind),
    /// The call waits at a gate, and has its effect once the gate is opened.
    StallBefore(Gate),
    /// The call has its effect, and waits at a gate before it returns.
    StallAfter(Gate),
}

/// The gate at which a stalled call waits. Clones are the same gate.
///
/// ```
/// use crm_chat_conformance::doubles::{Fault, Faulty, Gate};
/// use crm_chat_domain::Store;
/// # let store = crm_chat_memory::Memory::new();
///
/// let (store, gate) = (Faulty::new(store), Gate::default());
/// store.inject(1, Fault::StallBefore(gate.clone()));
/// std::thread::scope(|scope| {
///     let caller = scope.spawn(|| futures_lite::future::block_on(store.begin()).is_ok());
///     futures_lite::future::block_on(gate.reached());
///     assert!(!caller.is_finished());
///     gate.open();
///     assert!(caller.join().unwrap());
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<[OnceCell<()>; 2]>);

impl Gate {
    const REACHED: usize = 0;
    const OPENED: usize = 1;

    /// Waits until a call has reached the gate.
    pub async fn reached(&self) {
        self.0[Self::REACHED].wait().await;
    }

    /// Opens the gate for the call that waits and for all later ones.
    pub fn open(&self) {
        // The gate may already be open.
        let _ = self.0[Self::OPENED].set_blocking(());
    }

    pub(crate) async fn pass(&self) {
        let _ = self.0[Self::REACHED].set(()).await;
        self.0[Self::OPENED].wait().await;
    }
}

/// A store that records every port call and injects faults. Clones share the record and the faults.
///
/// ```
/// use crm_chat_conformance::doubles::{Fault, Faulty, PortCall};
/// use crm_chat_domain::{Removal, RemoveError, StoreErrorKind, remove_user};
/// # use crm_chat_conformance::fixtures::user;
/// # futures_lite::future::block_on(async {
///
/// # let store = crm_chat_memory::Memory::new();
/// let store = Faulty::new(store);
/// store.inject(2, Fault::Before(StoreErrorKind::Unavailable));
///
/// let removal = Removal::new("deal:288".parse().unwrap(), user(12));
/// let error = remove_user(&store, user(1), &removal).await.unwrap_err();
/// let RemoveError::Store(error) = error else { panic!("{error}") };
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert_eq!(
///     store.calls(),
///     [PortCall::Begin, PortCall::MessengerInstalled, PortCall::Rollback]
/// );
/// # });
/// ```
///
/// A call can also be held at a [`Gate`] for as long as a test needs, to cancel it there or to
/// observe a server meanwhile. For anything else, write an [`Interceptor`].
#[derive(Clone, Debug)]
pub struct Faulty<S>(Intercepted<S, FaultPlan>);

impl<S: Store> Faulty<S> {
    /// Wraps a store. No call fails until a fault is injected.
    pub fn new(store: S) -> Self {
        Self(Intercepted::new(store, FaultPlan::default()))
    }

    /// Injects a fault at the `n`-th port call from now on, counted from 1 over all transactions.
    /// It happens once.
    ///
    /// `begin`, every query, the write, `commit` and `rollback` are port calls; `prefetch` and
    /// `backoff` are not. The number of a call depends on the request (whether it names a chat,
    /// whether the user owns it): make a dry run and look at its [`calls`](Self::calls). A second
    /// fault at the same call replaces the first.
    pub fn inject(&self, n: usize, fault: Fault) {
        // Faults are kept by absolute number, so that later calls do not move them.
        let mut plan = self.plan();
        let index = plan.calls.len() + n;
        plan.faults.insert(index, fault);
    }

    /// Discards the faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.plan().faults.clear();
    }

    /// Returns the port calls so far, including failed ones, from first to last.
    #[must_use]
    pub fn calls(&self) -> Vec<PortCall> {
        self.plan().calls.clone()
    }

    /// Returns the wrapped store.
    pub const fn inner(&self) -> &S {
        self.0.inner()
    }

    fn plan(&self) -> MutexGuard<'_, PlanState> {
        self.0.interceptor().state()
    }
}

impl<S: Store> Store for Faulty<S> {
    type Tx = InterceptedTransaction<S::Tx, FaultPlan>;

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        self.0.begin().await
    }

    async fn begin_read(&self) -> Result<Self::Tx, StoreError> {
        self.0.begin_read().await
    }

    async fn backoff(&self, attempt: u32) {
        self.0.backoff(attempt).await;
    }
}

/// The interceptor of a [`Faulty`] store: the calls it has recorded and the faults that are due.
#[derive(Debug, Default)]
pub struct FaultPlan(Mutex<PlanState>);

#[derive(Debug, Default)]
struct PlanState {
    calls: Vec<PortCall>,
    faults: BTreeMap<usize, Fault>,
}

impl FaultPlan {
    fn state(&self) -> MutexGuard<'_, PlanState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call and takes the fault that is due at it.
    fn record(&self, call: &PortCall) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(*call);
        let index = state.calls.len();
        state.faults.remove(&index)
    }
}

impl Interceptor for FaultPlan {
    /// The fault that is due after the call in progress.
    type Session = Option<Fault>;

    async fn before(&self, pending: &mut Option<Fault>, call: &PortCall) -> Result<(), StoreError> {
        match self.record(call) {
            Some(Fault::Before(kind)) => return Err(injected(kind, call)),
            Some(Fault::StallBefore(gate)) => gate.pass().await,
            fault => *pending = fault,
        }
        Ok(())
    }

    async fn after(
        &self,
        pending: &mut Option<Fault>,
        call: &PortCall,
        returned: Result<Returned, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        match pending.take() {
            // A commit that failed by itself returns its own error.
            Some(Fault::After(_)) if *call == PortCall::Commit && returned.is_err() => {}
            Some(Fault::After(_)) if *call == PortCall::Commit => {
                return Err(injected(StoreErrorKind::OutcomeUnknown, call));
            }
            Some(Fault::After(kind)) => return Err(injected(kind, call)),
            Some(Fault::StallAfter(gate)) => gate.pass().await,
            _ => {}
        }
        Ok(())
    }
}

fn injected(kind: StoreErrorKind, call: &PortCall) -> StoreError {
    StoreError::new(kind, format!("make the call {call:?}")).with_source("injected fault")
}
