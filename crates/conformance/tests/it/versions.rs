//! A small multi-version backend that is correct in two modes, and wrong in one way per flaw.
//!
//! Each transaction works on a copy of the world as of its `begin`. In the pessimistic mode, it
//! holds a lock from then on. In the optimistic mode, it notes its reads and writes, and its commit
//! is certified: it is a conflict if it and the committed transactions have no serial order that
//! respects real time.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crm_chat_conformance::Harness;
use crm_chat_domain::snapshot::{Chat, EditError};
use crm_chat_domain::{Change, Edit, Entity, LogEntry, Snapshot, Store, StoreError, UserId};
use futures_lite::future::yield_now;

mod certify;
mod edits;
mod flaw;
mod runtime;
mod transaction;

pub(crate) use certify::{Footprint, Key};
pub(crate) use flaw::Flaw;
pub(crate) use transaction::VersionsTransaction;

/// The concurrency control of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pessimistic,
    Optimistic,
}

/// The store. Clones are handles on the same data.
#[derive(Clone)]
pub(crate) struct Versions(Arc<Shared>);

pub(crate) struct Shared {
    mode: Mode,
    flaw: Option<Flaw>,
    data: Mutex<Data>,
    /// Held by each transaction in the pessimistic mode.
    lock: Arc<async_lock::Mutex<()>>,
    corrupted: AtomicBool,
    /// State of the flaws that cache access and lock rows.
    access_cache: Mutex<HashMap<Entity, bool>>,
    rows: Mutex<HashMap<UserId, Arc<async_lock::Mutex<()>>>>,
}

#[derive(Default)]
pub(crate) struct Data {
    world: Snapshot,
    /// The log number of each record.
    numbers: Vec<u64>,
    numbered: u64,
    clock: u64,
    committed: Vec<Footprint>,
    /// Uncommitted writes of all transactions, for the flaw that reads them.
    pending: Vec<Change>,
}

impl Shared {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("the lock is not poisoned")
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Data {
    fn chat(&mut self, change: &Change) -> Option<&mut Chat> {
        let mut chats = self.world.chats.iter_mut();
        chats.find(|chat| chat.id == change.chat)
    }

    fn next_number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}

impl Store for Versions {
    type Tx = VersionsTransaction;

    async fn begin(&self) -> Result<VersionsTransaction, StoreError> {
        runtime::assert_entered();
        yield_now().await;
        let lock = match self.0.mode {
            Mode::Pessimistic => Some(self.0.lock.lock_arc().await),
            Mode::Optimistic => None,
        };
        Ok(VersionsTransaction::new(Arc::clone(&self.0), lock))
    }
}

impl Versions {
    fn new(mode: Mode, flaw: Option<Flaw>, world: &Snapshot) -> Self {
        let mut world = world.clone();
        world.sort();
        if flaw == Some(Flaw::IdsCut) {
            flaw::cut_ids(&mut world);
        }
        if flaw == Some(Flaw::EqualRecordsMerged) {
            world.removals.dedup();
        }
        if flaw == Some(Flaw::MembersCut) {
            let chats = world.chats.iter_mut();
            chats.for_each(|chat| chat.members.truncate(100));
        }
        let before = if flaw == Some(Flaw::NumbersStartElsewhere) { 1000 } else { 0 };
        let numbered = before + u64::try_from(world.removals.len()).expect("a length fits 64 bits");
        let data =
            Data { world, numbers: (before + 1..=numbered).collect(), numbered, ..Data::default() };
        Self(Arc::new(Shared {
            mode,
            flaw,
            data: Mutex::new(data),
            lock: Arc::default(),
            corrupted: AtomicBool::new(false),
            access_cache: Mutex::default(),
            rows: Mutex::default(),
        }))
    }

    /// Runs `act` in a transaction of its own, without waiting inside it.
    async fn run_alone<R>(&self, footprint: Footprint, act: impl FnOnce(&mut Data) -> R) -> R {
        runtime::assert_entered();
        let _lock = match self.0.mode {
            Mode::Pessimistic => Some(self.0.lock.lock().await),
            Mode::Optimistic => None,
        };
        let mut data = self.0.data();
        let result = act(&mut data);
        let began = data.clock;
        data.clock += 1;
        let committed = data.clock;
        data.committed.push(Footprint { began, committed, ..footprint });
        result
    }

    async fn edit(&self, edit: &Edit) -> Result<(), EditError> {
        let flaw = self.0.flaw;
        let writes: BTreeSet<Key> = edits::writes(edit).into_iter().collect();
        let footprint = Footprint {
            reads: writes.iter().copied().chain(edits::reads(edit)).collect(),
            writes,
            ..Footprint::default()
        };
        let result = self.run_alone(footprint, |data| edits::apply(&mut data.world, edit, flaw));
        result.await.map_err(EditError::Rejected)
    }

    async fn read<R>(&self, read: impl FnOnce(&mut Data) -> R) -> R {
        let footprint = Footprint { reads_all: true, ..Footprint::default() };
        self.run_alone(footprint, read).await
    }

    async fn dump(&self) -> Snapshot {
        let mut world = self.read(|data| data.world.clone()).await;
        world.sort();
        world
    }

    async fn log(&self, after: u64) -> Vec<LogEntry> {
        let numbered = |data: &mut Data| {
            let records = data.world.removals.iter().copied();
            let entries = data.numbers.iter().copied().zip(records);
            entries.map(|(sequence, record)| LogEntry { sequence, record }).collect::<Vec<_>>()
        };
        let mut log = self.read(numbered).await;
        log.retain(|entry| entry.sequence > after);
        log.sort_by_key(|entry| entry.sequence);
        log
    }
}

/// The harness of the store, in one mode and with at most one flaw.
#[derive(Clone, Copy)]
pub(crate) struct VersionsHarness {
    pub(crate) mode: Mode,
    pub(crate) flaw: Option<Flaw>,
}

impl Harness for VersionsHarness {
    type Fixture = Versions;
    type Store = Versions;

    async fn set_up(&self, world: &Snapshot) -> Versions {
        Versions::new(self.mode, self.flaw, world)
    }

    async fn connect(&self, fixture: &Versions) -> Versions {
        fixture.clone()
    }

    async fn edit(&self, store: &Versions, edit: &Edit) -> Result<(), EditError> {
        store.edit(edit).await
    }

    async fn dump(&self, store: &Versions) -> Snapshot {
        store.dump().await
    }

    async fn log(&self, store: &Versions, after: u64) -> Vec<LogEntry> {
        store.log(after).await
    }

    async fn corrupt(&self, fixture: &Versions) -> bool {
        fixture.0.corrupted.store(true, Ordering::SeqCst);
        true
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime::enter(|| futures_lite::future::block_on(future))
    }

    /// Long where no participant waits for a lock: a race that must show a flaw has to take place
    /// on a busy machine, too.
    fn rendezvous_timeout(&self) -> Duration {
        match (self.mode, self.flaw) {
            (Mode::Optimistic, Some(Flaw::RowLocks)) => Duration::from_secs(1),
            (Mode::Optimistic, Some(_)) => Duration::from_secs(10),
            _ => Duration::from_millis(50),
        }
    }

    fn case_timeout(&self) -> Duration {
        let ends = !matches!(self.flaw, Some(Flaw::LockLeaked | Flaw::RowLocks));
        Duration::from_secs(if ends { 120 } else { 4 })
    }
}

/// Without a flaw, the backend passes in both modes. A failure with a flaw is therefore due to the
/// flaw.
mod pessimistic {
    use super::{Mode, VersionsHarness};

    crm_chat_conformance::conformance_tests!(VersionsHarness {
        mode: Mode::Pessimistic,
        flaw: None,
    });
}

mod optimistic {
    use super::{Mode, VersionsHarness};

    crm_chat_conformance::conformance_tests!(VersionsHarness {
        mode: Mode::Optimistic,
        flaw: None,
    });
}
