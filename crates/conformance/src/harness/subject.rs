//! A store under test, and how a case says what is wrong with it.

use std::any::Any;
use std::fmt::{Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crm_chat_domain::snapshot::{EditError, EditRejection};
use crm_chat_domain::{
    Answer, Change, Edit, Explanation, IfAbsent, LogEntry, Outcome, Refusal, Removal, Request,
    Snapshot, Store, StoreErrorKind, UserId, explain, remove_user, remove_users,
};

use super::lab::{Step, reply};
use crate::model::{Call, Explained, Model, literal_difference};
use crate::{Case, Harness, Lab, Reply};

/// A store under test that was opened with a world, and the account of what was done to it.
///
/// What a case finds wrong is a panic that tells the law, the world, what was asked, what was expected and what came, as
/// Rust that can be pasted into a test beside `use crm_chat_conformance::fixtures::*`.
pub struct Subject<'l, H: Harness> {
    lab: &'l Lab<H>,
    world: Snapshot,
    store: H::Store,
    /// Another handle: what one handle has not committed, it does not see.
    observer: H::Store,
    account: Mutex<Vec<String>>,
    /// Dropped last.
    place: H::Place,
}

impl<'l, H: Harness> Subject<'l, H> {
    pub(super) fn new(lab: &'l Lab<H>, world: &Snapshot) -> Self {
        let harness = lab.harness();
        let place = harness.block_on(harness.create(world));
        Self {
            lab,
            world: world.clone(),
            store: harness.block_on(harness.connect(&place)),
            observer: harness.block_on(harness.connect(&place)),
            account: Mutex::default(),
            place,
        }
    }

    /// Returns the world that the store was opened with.
    pub const fn world(&self) -> &Snapshot {
        &self.world
    }

    /// Returns the first handle.
    pub const fn store(&self) -> &H::Store {
        &self.store
    }

    /// Returns where the data lies.
    pub const fn place(&self) -> &H::Place {
        &self.place
    }

    /// Returns the harness.
    pub const fn harness(&self) -> &'l H {
        self.lab.harness()
    }

    /// Opens one more handle.
    pub fn connect(&self) -> H::Store {
        self.block_on(self.harness().connect(&self.place))
    }

    /// Runs a future on this thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.harness().block_on(future)
    }

    /// Adds a line to the account of what was done.
    pub fn note(&self, line: impl Into<String>) {
        let line = line.into();
        self.lab.goes_on(Step::Noted(line.clone()));
        self.account().push(line);
    }

    fn account(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a removal on the first handle.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove(&self, actor: UserId, removal: &Removal) -> Reply {
        self.remove_by(&self.store, actor, removal)
    }

    /// Asks a store of the case's own making for a removal.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_by(&self, store: &impl Store, actor: UserId, removal: &Removal) -> Reply {
        let (reply, failure) = reply(self.block_on(remove_user(store, actor, removal)));
        let told = failure.map_or_else(|| format!("{reply:?}"), |error| error.report());
        self.note(format!("{}; // {told}", written_call(actor, removal)));
        reply
    }

    /// Asks the first handle for many removals in one transaction.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_all(
        &self,
        requests: &[(UserId, Removal)],
    ) -> Result<Vec<Answer>, StoreErrorKind> {
        self.remove_all_by(&self.store, requests)
    }

    /// Asks a store of the case's own making for many removals in one transaction.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_all_by(
        &self,
        store: &impl Store,
        requests: &[(UserId, Removal)],
    ) -> Result<Vec<Answer>, StoreErrorKind> {
        let answers = self.block_on(remove_users(store, requests));
        let request = |(actor, removal): &(UserId, Removal)| {
            format!("({}, {})", id("user", actor.get()), written(removal))
        };
        let list: Vec<_> = requests.iter().map(request).collect();
        self.note(format!("remove_users(&store, &[{}]).await; // {answers:?}", list.join(", ")));
        answers.map_err(|error| error.kind())
    }

    /// Explains a request on a handle.
    pub fn explain(&self, store: &impl Store, actor: UserId, request: &Request) -> Explanation {
        let explanation = self.block_on(explain(store, actor, request));
        let (id, request) = (id("user", actor.get()), written_request(request));
        let asked = format!("explain(&store, {id}, &{request}).await");
        match explanation {
            Ok(explanation) => {
                self.note(format!("{asked}; // {:?}", explanation.deciding()));
                explanation
            }
            Err(error) => {
                self.note(format!("{asked};"));
                self.fail("an explanation", error.report())
            }
        }
    }

    /// Explains a request on a handle, as the model does: so that the two can be compared.
    pub fn explained(&self, store: &impl Store, actor: UserId, request: &Request) -> Explained {
        let explanation = self.explain(store, actor, request);
        match Explained::try_from(&explanation) {
            Ok(explained) => explained,
            Err(error) => self.fail("an explanation without a failure", error.report()),
        }
    }

    /// Checks that the first handle explains a request as the model does. Only what does not is in the account: it is
    /// asked hundreds of times, and changes nothing.
    #[track_caller]
    pub(crate) fn explains_as(&self, model: &Model, actor: UserId, request: &Request) {
        let expected = model.explain(actor, request);
        let came = self.block_on(explain(&self.store, actor, request));
        let came = came.and_then(|explanation| Explained::try_from(&explanation));
        if came.as_ref().is_ok_and(|came| *came == expected) {
            return;
        }
        let (id, request) = (id("user", actor.get()), written_request(request));
        self.note(format!("explain(&store, {id}, &{request}).await;"));
        let came = came.map_or_else(|error| error.report(), |came| format!("{came:?}"));
        self.fail(&format!("the explanation: {expected:?}"), came)
    }

    /// Makes a single change on a handle of its own, again and again while it ends in a *conflict*.
    pub fn edit(&self, edit: &Edit) {
        if let Err(rejection) = self.try_edit(edit) {
            self.fail("the change is made", rejection)
        }
    }

    /// Makes a single change, which the backend may reject.
    ///
    /// # Errors
    /// The rejection.
    pub fn try_edit(&self, edit: &Edit) -> Result<(), EditRejection> {
        let store = self.connect();
        let attempt = || self.block_on(self.harness().edit(&store, edit));
        let mut made = attempt();
        for _ in 1..EDIT_ATTEMPTS {
            if !is_conflict(&made) {
                break;
            }
            made = attempt();
        }
        let json = serde_json::to_string(edit).unwrap_or_default();
        self.note(format!("harness.edit(&observer, &edit(r#\"{json}\"#)).await; // {made:?}"));
        match made {
            Ok(()) => Ok(()),
            Err(EditError::Rejected(rejection)) => Err(rejection),
            Err(EditError::Store(error)) => self.fail("the change is made", error.report()),
        }
    }

    /// Returns what is committed, as another handle sees it.
    pub fn dump(&self) -> Snapshot {
        let dump = || self.block_on(self.harness().dump(&self.observer));
        self.succeeds("the store can be dumped", dump)
    }

    /// Returns the log above a number, as another handle sees it.
    pub fn log(&self, after: u64) -> Vec<LogEntry> {
        let log = || self.block_on(self.harness().log(&self.observer, after));
        let entries = self.succeeds("the log can be read", log);
        let last = entries.last().map_or(after, |entry| entry.sequence);
        self.note(format!(
            "harness.log(&observer, {after}).await; // {} records, up to {last}",
            entries.len()
        ));
        entries
    }

    /// Runs a part of the harness that panics where it fails, and tells that with the account.
    #[track_caller]
    fn succeeds<T>(&self, expected: &str, part: impl FnOnce() -> T) -> T {
        match catch_unwind(AssertUnwindSafe(part)) {
            Ok(result) => result,
            Err(panic) => self.fail(expected, panic_text(&*panic)),
        }
    }

    /// Asks for a removal on the first handle and checks the answer.
    #[track_caller]
    pub fn answers(&self, actor: UserId, removal: &Removal, expected: Answer) {
        let came = self.remove(actor, removal);
        self.same("the answer", &Ok(expected), &came);
    }

    /// Asks for a removal, which must be refused.
    #[track_caller]
    pub fn refuses(&self, actor: UserId, removal: &Removal, refusal: Refusal) {
        self.answers(actor, removal, Err(refusal));
    }

    /// Asks for a removal, which must make a change.
    #[track_caller]
    pub fn removes(&self, removal: &Removal, change: &Change) {
        self.answers(change.actor, removal, Ok(Outcome::Removed(*change)));
    }

    /// Checks that exactly `expected` is committed, and that the log says so too. Where `expected` has more records than
    /// the world had, the new ones bear no time, and those in the store must.
    #[track_caller]
    pub fn holds(&self, expected: &Snapshot) {
        if let Err(difference) = self.compare(expected) {
            self.fail("", difference)
        }
    }

    /// Compares what is committed with what was expected.
    ///
    /// # Errors
    /// The difference, in words.
    pub(crate) fn compare(&self, expected: &Snapshot) -> Result<(), String> {
        let mut came = self.dump();
        self.log_agrees(&came)?;
        for record in came.removals.iter_mut().skip(self.world.removals.len()) {
            if record.recorded_at.take().is_none() {
                return Err(format!("expected: the record bears the time\n    came: {record:?}"));
            }
        }
        match literal_difference(expected, &came) {
            None => Ok(()),
            Some(difference) => Err(difference.to_string()),
        }
    }

    fn log_agrees(&self, dump: &Snapshot) -> Result<(), String> {
        let log = self.log(0);
        let rising = log.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
        let first = log.first().map(|entry| entry.sequence);
        let loaded = !self.world.removals.is_empty();
        let from_one = first.is_none_or(|first| first == 1 || first > 1 && !loaded);
        let records: Vec<_> = log.iter().map(|entry| entry.record).collect();
        if rising && from_one && records == dump.removals {
            return Ok(());
        }
        let expected =
            "the log holds the records of the dump, numbered upwards, those loaded from 1 on";
        let json = |value| serde_json::to_string(value).unwrap_or_default();
        let numbered: Vec<_> = log.iter().map(|entry| (entry.sequence, entry.record)).collect();
        let numbered = serde_json::to_string(&numbered).unwrap_or_default();
        Err(format!("expected: {expected}: {}\n    came: {numbered}", json(&dump.removals)))
    }

    /// Checks that two values are equal.
    #[track_caller]
    pub fn same<T: PartialEq + Debug>(&self, what: &str, expected: &T, came: &T) {
        if expected != came {
            self.fail(&format!("{what}: {expected:?}"), format!("{came:?}"))
        }
    }

    /// Fails the case.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn fail(&self, expected: &str, came: impl std::fmt::Display) -> ! {
        let Case { id, law, .. } = self.lab.case();
        let mut text = format!("{id}: {law}\n\n{}", opening(&self.world));
        for line in self.account().iter() {
            let _ = writeln!(text, "{line}");
        }
        if expected.is_empty() {
            let _ = write!(text, "\n{came}");
        } else {
            let _ = write!(text, "\nexpected: {expected}\n    came: {came}");
        }
        panic!("{text}")
    }
}

const EDIT_ATTEMPTS: u32 = 100;

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let literal = || panic.downcast_ref::<&str>().map(ToString::to_string);
    owned.or_else(literal).unwrap_or_else(|| "a panic".to_owned())
}

const fn is_conflict(made: &Result<(), EditError>) -> bool {
    matches!(made, Err(EditError::Store(error)) if matches!(error.kind(), StoreErrorKind::Conflict))
}

/// Writes how a store that holds a world is opened, as Rust.
pub(crate) fn opening(world: &Snapshot) -> String {
    let world = Model::new(world.clone());
    format!(
        "let world = world(r#\"{world:?}\"#);\n\
         let place = harness.create(&world).await;\n\
         let store = harness.connect(&place).await;\n\
         let observer = harness.connect(&place).await;\n"
    )
}

/// Writes a removal as Rust.
pub(crate) fn written(removal: &Removal) -> String {
    let mut text =
        format!("Removal::new(entity(\"{}\"), {})", removal.entity, id("user", removal.user.get()));
    if let Some(chat) = removal.chat {
        let _ = write!(text, ".in_chat({})", id("chat", chat.get()));
    }
    if removal.if_absent == IfAbsent::Accept {
        text.push_str(".if_absent(IfAbsent::Accept)");
    }
    text
}

/// Writes a request as Rust.
pub(crate) fn written_request(request: &Request) -> String {
    let call = Call { actor: UserId::MIN, request: request.clone() };
    let json = serde_json::to_value(call).map(|mut call| {
        call.as_object_mut().map(|call| call.remove("actor"));
        call
    });
    format!("request(r#\"{}\"#)", json.unwrap_or_default())
}

/// Writes the asking for a removal as Rust.
pub(crate) fn written_call(actor: UserId, removal: &Removal) -> String {
    let actor = id("user", actor.get());
    format!("remove_user(&store, {actor}, &{}).await", written(removal))
}

fn id(kind: &str, number: i64) -> String {
    format!("{kind}({number})")
}
