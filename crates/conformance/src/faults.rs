//! Stores that fail on purpose, and that tell what they were asked.
//!
//! [`Faulty`] wraps any store. It records every port call, and injects faults at the n-th:
//!
//! ```
//! use crm_chat_conformance::faults::{Call, Fault, Faulty};
//! use crm_chat_domain::{Removal, RemoveError, StoreErrorKind, remove_user};
//! # use crm_chat_conformance::fixtures::user;
//! # futures_lite::future::block_on(async {
//!
//! # let store = crm_chat_memory::Memory::new();
//! let store = Faulty::new(store);
//! store.inject(2, Fault::Before(StoreErrorKind::Unavailable));
//!
//! let removal = Removal::new("deal:288".parse().unwrap(), user(12));
//! let error = remove_user(&store, user(1), &removal).await.unwrap_err();
//! assert!(matches!(error, RemoveError::Store(error) if error.kind() == StoreErrorKind::Unavailable));
//! assert_eq!(store.calls(), [Call::Begin, Call::MessengerInstalled, Call::Rollback]);
//! # });
//! ```
//!
//! A call can also be held at a [`Gate`], for as long as a test likes: to cancel it there, or to see what a server
//! does meanwhile. What neither does is written as a [`Tap`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_lock::OnceCell;
use crm_chat_domain::{Store, StoreError, StoreErrorKind};

mod tap;

pub use tap::{Call, Tap, Tapped, TappedTransaction, Told};

/// What happens to a port call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails without having had an effect.
    Before(StoreErrorKind),
    /// It has its effect and fails all the same. A commit that happened is reported as
    /// [`StoreErrorKind::OutcomeUnknown`], whatever the kind: any other would be a lie.
    After(StoreErrorKind),
    /// It waits at a gate, and has its effect when that is opened.
    StallBefore(Gate),
    /// It has its effect, and waits at a gate before it says so.
    StallAfter(Gate),
}

/// Where a stalled call waits. Its clones are the same gate.
///
/// ```
/// use crm_chat_conformance::faults::{Fault, Faulty, Gate};
/// use crm_chat_domain::Store;
/// # let store = crm_chat_memory::Memory::new();
///
/// let (store, gate) = (Faulty::new(store), Gate::default());
/// store.inject(1, Fault::StallBefore(gate.clone()));
/// std::thread::scope(|scope| {
///     let side = scope.spawn(|| futures_lite::future::block_on(store.begin()).is_ok());
///     futures_lite::future::block_on(gate.reached());
///     assert!(!side.is_finished());
///     gate.open();
///     assert!(side.join().unwrap());
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<[OnceCell<()>; 2]>);

impl Gate {
    const REACHED: usize = 0;
    const OPENED: usize = 1;

    /// Waits until a call stands at the gate.
    pub async fn reached(&self) {
        self.0[Self::REACHED].wait().await;
    }

    /// Lets through the call that waits and those that come.
    pub fn open(&self) {
        // Opened twice is open.
        let _ = self.0[Self::OPENED].set_blocking(());
    }

    pub(crate) async fn pass(&self) {
        let _ = self.0[Self::REACHED].set(()).await;
        self.0[Self::OPENED].wait().await;
    }
}

/// A store that records every port call and injects faults. A handle: its clones share the record and the faults.
#[derive(Clone, Debug)]
pub struct Faulty<S>(Tapped<S, Script>);

impl<S: Store> Faulty<S> {
    /// Wraps a store. Nothing fails until a fault is injected.
    pub fn new(store: S) -> Self {
        Self(Tapped::new(store, Script::default()))
    }

    /// Injects a fault at the `n`-th port call from now on, counted from 1 over all transactions. It happens once.
    ///
    /// `begin`, every question, the write, `commit` and `rollback` are port calls; `prefetch` and `backoff` are not. Which
    /// number a call has depends on what is asked (whether the request names a chat, whether the user owns it): a dry run
    /// tells, by its [`calls`](Self::calls). A fault injected at the same call again takes the place of the one before.
    pub fn inject(&self, n: usize, fault: Fault) {
        let mut script = self.script();
        let at = script.calls.len() + n;
        script.faults.insert(at, fault);
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        self.script().faults.clear();
    }

    /// Returns the port calls so far, in their order, failed ones too.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.script().calls.clone()
    }

    /// Returns the store beneath.
    pub const fn inner(&self) -> &S {
        self.0.inner()
    }

    fn script(&self) -> MutexGuard<'_, State> {
        self.0.tap().state()
    }
}

impl<S: Store> Store for Faulty<S> {
    type Tx = TappedTransaction<S::Tx, Script>;

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

/// What a [`Faulty`] store was asked, and what shall happen.
#[derive(Debug, Default)]
pub struct Script(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    faults: BTreeMap<usize, Fault>,
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call and takes out the fault that awaits it.
    fn note(&self, call: &Call) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(*call);
        let at = state.calls.len();
        state.faults.remove(&at)
    }
}

impl Tap for Script {
    /// What shall happen after the call that is being made.
    type Session = Option<Fault>;

    async fn before(&self, pending: &mut Option<Fault>, call: &Call) -> Result<(), StoreError> {
        match self.note(call) {
            Some(Fault::Before(kind)) => return Err(injected(kind, call)),
            Some(Fault::StallBefore(gate)) => gate.pass().await,
            fault => *pending = fault,
        }
        Ok(())
    }

    async fn after(
        &self,
        pending: &mut Option<Fault>,
        call: &Call,
        told: Result<Told, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        match pending.take() {
            // A commit that failed by itself has its own story to tell.
            Some(Fault::After(_)) if *call == Call::Commit && told.is_err() => {}
            Some(Fault::After(_)) if *call == Call::Commit => {
                return Err(injected(StoreErrorKind::OutcomeUnknown, call));
            }
            Some(Fault::After(kind)) => return Err(injected(kind, call)),
            Some(Fault::StallAfter(gate)) => gate.pass().await,
            _ => {}
        }
        Ok(())
    }
}

fn injected(kind: StoreErrorKind, call: &Call) -> StoreError {
    StoreError::new(kind, format!("make the call {call:?}")).with_source("injected fault")
}
