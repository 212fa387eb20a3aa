//! A store under test, with assertions that report what the case did.

use std::any::Any;
use std::fmt::{self, Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crm_chat_domain::snapshot::{EditError, EditRejection};
use crm_chat_domain::{
    Answer, Change, Edit, Explanation, LogEntry, Outcome, Refusal, Removal, Request, Snapshot,
    Store, StoreErrorKind, UserId, explain, remove_user, remove_users,
};

use super::harness::Harness;
use super::perform::{RemovalReply, to_reply};
use super::runner::{Case, CaseStep, TestContext};
use super::transcript;
use crate::model::{Model, ModelExplanation, literal_difference};

/// A store under test that was opened with a world, and the transcript of what was done to it.
///
/// A failed assertion panics with a report: the law, the world, the transcript, and the expected
/// and the actual value. The report is Rust that can be pasted into a test next to
/// `use crm_chat_conformance::prelude::*`.
pub struct TestStore<'c, H: Harness> {
    cx: &'c TestContext<H>,
    world: Snapshot,
    store: H::Store,
    /// A separate handle for dumps and the log, so that they show committed data only.
    observer: H::Store,
    transcript: Mutex<Vec<String>>,
    // Fields are dropped in order: the fixture cleans up after the handles are closed.
    fixture: H::Fixture,
}

impl<H: Harness> TestContext<H> {
    /// Opens a new store that holds `world`.
    pub fn open(&self, world: &Snapshot) -> TestStore<'_, H> {
        self.report(CaseStep::Opened(world.clone()));
        let harness = self.harness();
        let fixture = harness.block_on(harness.set_up(world));
        TestStore {
            cx: self,
            world: world.clone(),
            store: harness.block_on(harness.connect(&fixture)),
            observer: harness.block_on(harness.connect(&fixture)),
            transcript: Mutex::default(),
            fixture,
        }
    }

    /// Runs `test` for each item in turn, on a new store that holds `world`.
    pub(super) fn for_each<T>(
        &self,
        world: &Snapshot,
        items: impl IntoIterator<Item = T>,
        test: impl Fn(&TestStore<'_, H>, T),
    ) {
        for item in items {
            test(&self.open(world), item);
        }
    }
}

impl<'c, H: Harness> TestStore<'c, H> {
    /// Returns the world that the store was opened with.
    pub const fn world(&self) -> &Snapshot {
        &self.world
    }

    /// Returns the first handle.
    pub const fn store(&self) -> &H::Store {
        &self.store
    }

    /// Returns the location of the data.
    pub const fn fixture(&self) -> &H::Fixture {
        &self.fixture
    }

    /// Returns the harness.
    pub const fn harness(&self) -> &'c H {
        self.cx.harness()
    }

    /// Opens another handle.
    pub fn connect(&self) -> H::Store {
        self.block_on(self.harness().connect(&self.fixture))
    }

    /// Runs a future to completion on the current thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.harness().block_on(future)
    }

    /// Adds a line to the transcript.
    pub fn record(&self, line: impl Into<String>) {
        let line = line.into();
        self.cx.report(CaseStep::Recorded(line.clone()));
        self.transcript().push(line);
    }

    fn transcript(&self) -> MutexGuard<'_, Vec<String>> {
        // Other participants of a race keep recording after one has panicked.
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a user through the first handle.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove(&self, actor: UserId, removal: &Removal) -> RemovalReply {
        self.remove_with(&self.store, actor, removal)
    }

    /// Removes a user through `store`.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_with(
        &self,
        store: &impl Store,
        actor: UserId,
        removal: &Removal,
    ) -> RemovalReply {
        let (reply, failure) = to_reply(self.block_on(remove_user(store, actor, removal)));
        let result = failure.map_or_else(|| format!("{reply:?}"), |error| error.report());
        let call = transcript::remove_user(actor, removal);
        self.record(format!("{call}.await; // {result}"));
        reply
    }

    /// Removes several users in one transaction through the first handle.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_all(
        &self,
        requests: &[(UserId, Removal)],
    ) -> Result<Vec<Answer>, StoreErrorKind> {
        self.remove_all_with(&self.store, requests)
    }

    /// Removes several users in one transaction through `store`.
    ///
    /// # Errors
    /// The kind of the storage failure.
    pub fn remove_all_with(
        &self,
        store: &impl Store,
        requests: &[(UserId, Removal)],
    ) -> Result<Vec<Answer>, StoreErrorKind> {
        let answers = self.block_on(remove_users(store, requests));
        self.record(format!("{}; // {answers:?}", transcript::remove_users(requests)));
        answers.map_err(|error| error.kind())
    }

    /// Explains a request through `store`.
    pub fn explain(&self, store: &impl Store, actor: UserId, request: &Request) -> Explanation {
        let call = transcript::explain(actor, request);
        match self.block_on(explain(store, actor, request)) {
            Ok(explanation) => {
                self.record(format!("{call}; // {:?}", explanation.deciding()));
                explanation
            }
            Err(error) => {
                self.record(format!("{call};"));
                self.fail("an explanation", error.report())
            }
        }
    }

    /// Explains a request through `store`, in a form that can be compared with the model's.
    pub fn explain_comparably(
        &self,
        store: &impl Store,
        actor: UserId,
        request: &Request,
    ) -> ModelExplanation {
        let explanation = self.explain(store, actor, request);
        match ModelExplanation::try_from(&explanation) {
            Ok(explanation) => explanation,
            Err(error) => self.fail("an explanation without a failure", error.report()),
        }
    }

    /// Asserts that the first handle explains a request as the model does.
    ///
    /// Only a failure is recorded: cases call this hundreds of times, and it changes nothing.
    #[track_caller]
    pub fn assert_explanation(&self, model: &Model, actor: UserId, request: &Request) {
        let expected = model.explain(actor, request);
        let actual = self.block_on(explain(&self.store, actor, request));
        let actual = actual.and_then(|explanation| ModelExplanation::try_from(&explanation));
        if actual.as_ref().is_ok_and(|actual| *actual == expected) {
            return;
        }
        self.record(format!("{};", transcript::explain(actor, request)));
        let actual = actual.map_or_else(|error| error.report(), |actual| format!("{actual:?}"));
        self.fail(&format!("the explanation: {expected:?}"), actual)
    }

    /// Applies an edit through a handle of its own. Retries after a *conflict*.
    pub fn edit(&self, edit: &Edit) {
        if let Err(rejection) = self.try_edit(edit) {
            self.fail("the edit is accepted", rejection)
        }
    }

    /// Applies an edit that the backend may reject. Retries after a *conflict*.
    ///
    /// # Errors
    /// The rejection.
    pub fn try_edit(&self, edit: &Edit) -> Result<(), EditRejection> {
        // A handle of its own: the first one may be in the middle of a transaction.
        let store = self.connect();
        let attempt = || self.block_on(self.harness().edit(&store, edit));
        let mut result = attempt();
        for _ in 1..EDIT_ATTEMPTS {
            if !is_conflict(&result) {
                break;
            }
            result = attempt();
        }
        self.record(format!("{}; // {result:?}", transcript::edit(edit)));
        match result {
            Ok(()) => Ok(()),
            Err(EditError::Rejected(rejection)) => Err(rejection),
            Err(EditError::Store(error)) => self.fail("the edit is applied", error.report()),
        }
    }

    /// Returns the committed data, as another handle sees it.
    pub fn dump(&self) -> Snapshot {
        let dump = || self.block_on(self.harness().dump(&self.observer));
        self.assert_no_panic("the store can be dumped", dump)
    }

    /// Returns the log above a number, as another handle sees it.
    pub fn log(&self, after: u64) -> Vec<LogEntry> {
        let log = || self.block_on(self.harness().log(&self.observer, after));
        let entries = self.assert_no_panic("the log can be read", log);
        let last = entries.last().map_or(after, |entry| entry.sequence);
        self.record(format!(
            "harness.log(&observer, {after}).await; // {} records, up to {last}",
            entries.len()
        ));
        entries
    }

    /// Runs a method of the harness and turns its panic into a report.
    #[track_caller]
    fn assert_no_panic<T>(&self, expected: &str, method: impl FnOnce() -> T) -> T {
        match catch_unwind(AssertUnwindSafe(method)) {
            Ok(result) => result,
            Err(panic) => self.fail(expected, panic_message(&*panic)),
        }
    }

    /// Removes a user through the first handle and asserts the answer.
    #[track_caller]
    pub fn assert_answer(&self, actor: UserId, removal: &Removal, expected: Answer) {
        let actual = self.remove(actor, removal);
        self.assert_eq("the answer", &Ok(expected), &actual);
    }

    /// Asserts that a removal is refused.
    #[track_caller]
    pub fn assert_refused(&self, actor: UserId, removal: &Removal, refusal: Refusal) {
        self.assert_answer(actor, removal, Err(refusal));
    }

    /// Asserts that a removal, made by the change's actor, makes the change.
    #[track_caller]
    pub fn assert_removed(&self, removal: &Removal, change: &Change) {
        self.assert_answer(change.actor, removal, Ok(Outcome::Removed(*change)));
    }

    /// Asserts that exactly `expected` is committed, and that the log agrees.
    ///
    /// Records of `expected` beyond those of the world have no time, and those in the store must
    /// have one.
    #[track_caller]
    pub fn assert_state(&self, expected: &Snapshot) {
        if let Err(difference) = self.compare(expected) {
            self.fail("", difference)
        }
    }

    /// Compares the committed data with `expected`, as [`assert_state`](Self::assert_state) does.
    ///
    /// # Errors
    /// The difference, as text.
    pub fn compare(&self, expected: &Snapshot) -> Result<(), String> {
        let mut actual = self.dump();
        self.compare_log(&actual)?;
        for record in actual.removals.iter_mut().skip(self.world.removals.len()) {
            // The time depends on the clock, so only its presence is compared.
            if record.recorded_at.take().is_none() {
                return Err(format!("expected: the record has a time\n  actual: {record:?}"));
            }
        }
        match literal_difference(expected, &actual) {
            None => Ok(()),
            Some(difference) => Err(difference.to_string()),
        }
    }

    fn compare_log(&self, dump: &Snapshot) -> Result<(), String> {
        let log = self.log(0);
        let ascending = log.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
        let first = log.first().map(|entry| entry.sequence);
        let has_loaded = !self.world.removals.is_empty();
        // A store may skip numbers for new records, but numbers loaded ones from 1.
        let from_one = first.is_none_or(|first| first == 1 || first > 1 && !has_loaded);
        let records: Vec<_> = log.iter().map(|entry| entry.record).collect();
        if ascending && from_one && records == dump.removals {
            return Ok(());
        }
        let expected =
            "the log has the records of the dump in ascending order, the loaded ones from 1";
        let json = |value| serde_json::to_string(value).unwrap_or_default();
        let numbered: Vec<_> = log.iter().map(|entry| (entry.sequence, entry.record)).collect();
        let numbered = serde_json::to_string(&numbered).unwrap_or_default();
        Err(format!("expected: {expected}: {}\n  actual: {numbered}", json(&dump.removals)))
    }

    /// Asserts that two values are equal. `what` names them in the report.
    #[track_caller]
    pub fn assert_eq<T: PartialEq + Debug>(&self, what: &str, expected: &T, actual: &T) {
        if expected != actual {
            self.fail(&format!("{what}: {expected:?}"), format!("{actual:?}"))
        }
    }

    /// Asserts that the result, and the committed data, are those of one of the serial orders.
    #[track_caller]
    pub(super) fn assert_one_of<R: PartialEq + Debug>(&self, actual: &R, orders: &[(R, Snapshot)]) {
        let matching = orders.iter().filter(|(expected, _)| expected == actual);
        let compared: Vec<_> = matching.map(|(_, state)| self.compare(state)).collect();
        if compared.iter().any(Result::is_ok) {
            return;
        }
        if let Some(difference) = compared.into_iter().find_map(Result::err) {
            self.fail("", format!("after {actual:?}\n{difference}"));
        }
        let expected: Vec<_> = orders.iter().map(|(expected, _)| expected).collect();
        self.fail(&format!("one of {expected:?}"), format!("{actual:?}"))
    }

    /// Fails the case with a report.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn fail(&self, expected: &str, actual: impl fmt::Display) -> ! {
        let Case { id, law, .. } = self.cx.case();
        let mut text = format!("{id}: {law}\n\n{}", transcript::set_up(&self.world));
        for line in self.transcript().iter() {
            let _ = writeln!(text, "{line}");
        }
        if expected.is_empty() {
            let _ = write!(text, "\n{actual}");
        } else {
            let _ = write!(text, "\nexpected: {expected}\n  actual: {actual}");
        }
        panic!("{text}")
    }
}

const EDIT_ATTEMPTS: u32 = 100;

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let literal = || panic.downcast_ref::<&str>().map(ToString::to_string);
    owned.or_else(literal).unwrap_or_else(|| "a panic".to_owned())
}

const fn is_conflict(result: &Result<(), EditError>) -> bool {
    matches!(result, Err(EditError::Store(error)) if matches!(error.kind(), StoreErrorKind::Conflict))
}
