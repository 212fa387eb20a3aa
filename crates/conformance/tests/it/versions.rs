//! A small backend that is right in two ways, and wrong in as many as there are flaws.
//!
//! Each transaction works on a copy of the world as it was at `begin`. Pessimistic, it holds a lock from then on.
//! Optimistic, it notes what it read and wrote, and its commit is certified: it is a conflict if it and the committed
//! transactions have no serial order that respects real time.

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

/// How transactions are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pessimistic,
    Optimistic,
}

/// The store: a handle.
#[derive(Clone)]
pub(crate) struct Versions(Arc<Shared>);

pub(crate) struct Shared {
    mode: Mode,
    flaw: Option<Flaw>,
    data: Mutex<Data>,
    /// Held by a transaction of the pessimistic mode.
    lock: Arc<async_lock::Mutex<()>>,
    damaged: AtomicBool,
    /// For the flaws that keep what they should not.
    access_cache: Mutex<HashMap<Entity, bool>>,
    rows: Mutex<HashMap<UserId, Arc<async_lock::Mutex<()>>>>,
}

#[derive(Default)]
pub(crate) struct Data {
    world: Snapshot,
    /// The number of each record.
    numbers: Vec<u64>,
    numbered: u64,
    clock: u64,
    committed: Vec<Footprint>,
    /// What transactions have written and not committed yet, for a flaw that reads it.
    pending: Vec<Change>,
}

impl Shared {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no holder panics")
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
        if flaw == Some(Flaw::AlikeRecordsAreOne) {
            world.removals.dedup();
        }
        if flaw == Some(Flaw::MembersCut) {
            let chats = world.chats.iter_mut();
            chats.for_each(|chat| chat.members.truncate(100));
        }
        let before = if flaw == Some(Flaw::NumberedFromElsewhere) { 1000 } else { 0 };
        let numbered = before + u64::try_from(world.removals.len()).expect("few");
        let data =
            Data { world, numbers: (before + 1..=numbered).collect(), numbered, ..Data::default() };
        Self(Arc::new(Shared {
            mode,
            flaw,
            data: Mutex::new(data),
            lock: Arc::default(),
            damaged: AtomicBool::new(false),
            access_cache: Mutex::default(),
            rows: Mutex::default(),
        }))
    }

    /// Does something in a transaction of its own, at once.
    async fn alone<R>(&self, footprint: Footprint, act: impl FnOnce(&mut Data) -> R) -> R {
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
        let made = self.alone(footprint, |data| edits::apply(&mut data.world, edit, flaw));
        made.await.map_err(EditError::Rejected)
    }

    async fn read<R>(&self, read: impl FnOnce(&mut Data) -> R) -> R {
        let footprint = Footprint { reads_all: true, ..Footprint::default() };
        self.alone(footprint, read).await
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
    type Place = Versions;
    type Store = Versions;

    async fn create(&self, world: &Snapshot) -> Versions {
        Versions::new(self.mode, self.flaw, world)
    }

    async fn connect(&self, place: &Versions) -> Versions {
        place.clone()
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

    async fn damage(&self, place: &Versions) -> bool {
        place.0.damaged.store(true, Ordering::SeqCst);
        true
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime::enter(|| futures_lite::future::block_on(future))
    }

    /// Long where nobody waits for a lock: a race that is to show a flaw must take place on a busy machine too.
    fn grace(&self) -> Duration {
        match (self.mode, self.flaw) {
            (Mode::Optimistic, Some(Flaw::RowLocks)) => Duration::from_secs(1),
            (Mode::Optimistic, Some(_)) => Duration::from_secs(10),
            _ => Duration::from_millis(50),
        }
    }

    fn patience(&self) -> Duration {
        let ends = !matches!(self.flaw, Some(Flaw::LockLeft | Flaw::RowLocks));
        Duration::from_secs(if ends { 120 } else { 4 })
    }
}

/// The backend without a flaw passes, in either mode: what a flawed one fails, it fails for its flaw.
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
