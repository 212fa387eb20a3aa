//! Scripted mock transactions: they answer from given facts, record their calls, and fail on
//! demand.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use crm_chat_conformance::doubles::mocks::{MockStore, MockTransaction};
use crm_chat_domain::{
    Change, ChatId, Entity, EntityId, EntityKind, Removal, Role, StoreError, StoreErrorKind, UserId,
};

pub(crate) const ACTOR: UserId = UserId::new(1).unwrap();
pub(crate) const USER: UserId = UserId::new(12).unwrap();
pub(crate) const SUCCESSOR: UserId = UserId::new(7).unwrap();
/// The chat that a request names, unless it names none.
pub(crate) const NAMED: ChatId = ChatId::new(8773).unwrap();
/// The entity's last chat.
pub(crate) const LAST: ChatId = ChatId::new(8774).unwrap();
pub(crate) const ENTITY: Entity =
    Entity { kind: EntityKind::Deal, id: EntityId::new(288).unwrap() };

/// The facts from which the mocks answer.
#[expect(clippy::struct_excessive_bools, reason = "one for each yes-or-no question")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) messenger: bool,
    pub(crate) access: bool,
    pub(crate) last_chat: bool,
    pub(crate) linked: bool,
    pub(crate) may_remove: bool,
    pub(crate) active: bool,
    pub(crate) role: Option<Role>,
    pub(crate) successor: Option<UserId>,
    pub(crate) removes: bool,
}

/// The facts in which every rule holds and the user is an ordinary member.
impl Default for Facts {
    fn default() -> Self {
        Self {
            messenger: true,
            access: true,
            last_chat: true,
            linked: true,
            may_remove: true,
            active: true,
            role: Some(Role::Member),
            successor: Some(SUCCESSOR),
            removes: true,
        }
    }
}

/// A call to a store or to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Begin,
    Prefetch(Removal),
    Messenger,
    Access,
    LastChat,
    Link,
    Permission,
    ActiveUser,
    Role,
    Successor,
    RemoveMember,
    Commit,
    Rollback,
    Backoff(u32),
}

/// The failure of a call.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: Call,
    pub(crate) kind: StoreErrorKind,
    /// The occurrences of this call that fail, counted from 0.
    pub(crate) occurrences: Range<usize>,
}

impl Fault {
    pub(crate) fn always(at: Call, kind: StoreErrorKind) -> Self {
        Self { at, kind, occurrences: 0..usize::MAX }
    }
}

/// The script of a mock store, and the record of its calls.
///
/// The mocks assert the arguments of each call, so [`Call`] does not repeat them.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The facts for the first attempt, the second, and so on. Further attempts repeat the last.
    facts: Vec<Facts>,
    faults: Vec<Fault>,
    calls: Vec<Call>,
    written: Vec<Change>,
    chat: Option<ChatId>,
}

impl Script {
    pub(crate) fn new(facts: impl IntoIterator<Item = Facts>) -> Self {
        let script = Self::default();
        script.state().facts.extend(facts);
        script
    }

    pub(crate) fn fail(self, fault: Fault) -> Self {
        self.state().faults.push(fault);
        self
    }

    /// Returns the calls made, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Returns the changes written, in order.
    pub(crate) fn written(&self) -> Vec<Change> {
        self.state().written.clone()
    }

    /// Returns the store. Every question must name `chat`.
    pub(crate) fn store(&self, chat: ChatId) -> MockStore {
        self.state().chat = Some(chat);
        let mut store = MockStore::new();
        let script = self.clone();
        store
            .expect_begin()
            .returning(move || script.end(Call::Begin).map(|()| script.transaction(chat)));
        let script = self.clone();
        store
            .expect_backoff()
            .returning(move |attempt| script.state().calls.push(Call::Backoff(attempt)));
        store
    }

    fn transaction(&self, chat: ChatId) -> MockTransaction {
        let mut tx = MockTransaction::default();
        self.set_chats(&mut tx, chat);
        self.set_ends(&mut tx);

        let script = self.clone();
        tx.crm.expect_last_chat().returning(move |entity| {
            assert_eq!(entity, ENTITY);
            script.answer(Call::LastChat, |facts| facts.last_chat.then_some(LAST))
        });
        let script = self.clone();
        tx.crm.expect_is_linked().returning(move |given, entity| {
            assert_eq!((given, entity), (chat, ENTITY));
            script.answer(Call::Link, |facts| facts.linked)
        });
        let script = self.clone();
        tx.users.expect_is_active().returning(move |user| {
            assert_eq!(user, USER);
            script.answer(Call::ActiveUser, |facts| facts.active)
        });
        let script = self.clone();
        let access = tx.permissions.expect_has_access();
        access.returning(move |actor, entity| {
            assert_eq!((actor, entity), (ACTOR, ENTITY));
            script.answer(Call::Access, |facts| facts.access)
        });
        let script = self.clone();
        let may_remove = tx.permissions.expect_may_remove();
        may_remove.returning(move |actor, from, entity| {
            assert_eq!((actor, from, entity), (ACTOR, chat, ENTITY));
            script.answer(Call::Permission, |facts| facts.may_remove)
        });
        tx
    }

    fn set_chats(&self, tx: &mut MockTransaction, chat: ChatId) {
        let script = self.clone();
        tx.chats
            .expect_messenger_installed()
            .returning(move || script.answer(Call::Messenger, |facts| facts.messenger));
        let script = self.clone();
        tx.chats.expect_role().returning(move |of, user| {
            assert_eq!((of, user), (chat, USER));
            script.answer(Call::Role, |facts| facts.role)
        });
        let script = self.clone();
        tx.chats.expect_successor().returning(move |of, leaving| {
            assert_eq!((of, leaving), (chat, USER));
            script.answer(Call::Successor, |facts| facts.successor)
        });
        let script = self.clone();
        tx.chats.expect_remove_member().returning(move |change| {
            script.state().written.push(*change);
            script.answer(Call::RemoveMember, |facts| facts.removes)
        });
    }

    fn set_ends(&self, tx: &mut MockTransaction) {
        let script = self.clone();
        tx.chats.expect_prefetch().returning(move |actor, removal| {
            assert_eq!(actor, ACTOR);
            script.state().calls.push(Call::Prefetch(*removal));
        });
        let script = self.clone();
        tx.chats.expect_commit().returning(move || script.end(Call::Commit));
        let script = self.clone();
        tx.chats.expect_rollback().returning(move || script.end(Call::Rollback));
    }

    fn answer<T>(&self, call: Call, fact: impl Fn(&Facts) -> T) -> Result<T, StoreError> {
        let mut state = self.state();
        let begun = state.count(Call::Begin);
        let facts = state.facts[(begun - 1).min(state.facts.len() - 1)];
        state.call(call).map(|()| fact(&facts))
    }

    fn end(&self, call: Call) -> Result<(), StoreError> {
        self.state().call(call)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no call is made after a failed assertion")
    }
}

impl State {
    fn count(&self, call: Call) -> usize {
        self.calls.iter().filter(|made| **made == call).count()
    }

    fn call(&mut self, call: Call) -> Result<(), StoreError> {
        let occurrence = self.count(call);
        self.calls.push(call);
        let fault = self
            .faults
            .iter()
            .find(|fault| fault.at == call && fault.occurrences.contains(&occurrence));
        fault.map_or(Ok(()), |fault| Err(error(call, fault.kind)))
    }
}

/// Returns the error of a failing call, which names the call.
pub(crate) fn error(call: Call, kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, format!("{call:?}"))
}
