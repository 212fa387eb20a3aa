//! A decorator that is stricter with its caller than any real store.

use std::sync::atomic::{AtomicUsize, Ordering};

use crm_chat_domain::{
    Change, ChatId, OwnerChange, Removal, Role, Store, StoreError, StoreErrorKind, UserId,
};

use super::intercept::{Intercepted, InterceptedTransaction, Interceptor, PortCall, Returned};

/// A store that panics if its caller breaks the protocol of a removal. Clones are the same store.
///
/// It knows which calls a removal may make. A panic, with the call that was expected, stops a
/// caller that:
///
/// - queries out of order, or the same fact twice;
/// - queries another user, chat or entity than the removal's;
/// - continues after an answer that decides, or after a failure;
/// - writes another change than the answers imply;
/// - commits before the removal is decided;
/// - rolls back without a failure.
///
/// ```
/// use crm_chat_conformance::doubles::Strict;
/// use crm_chat_conformance::fixtures::{office, removal, user};
/// use crm_chat_domain::remove_user;
/// # futures_lite::future::block_on(async {
///
/// # let store = crm_chat_memory::Memory::new();
/// # store.load(&office()).await.unwrap();
/// let store = Strict::new(store);
/// remove_user(&store, user(1), &removal(12)).await.unwrap();
/// store.assert_settled();
/// # });
/// ```
///
/// It is for removals only. An explanation continues after the rule that decides, and makes no
/// change, so it is stopped. Calls on a transaction that has ended do not compile.
///
/// Put faults below it, `Strict<Faulty<S>>`, so that it sees failures. Above it, it would see a
/// rollback without a failure.
#[derive(Clone, Debug)]
pub struct Strict<S>(Intercepted<S, Protocol>);

impl<S: Store> Strict<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self(Intercepted::new(store, Protocol::default()))
    }

    /// Returns the wrapped store.
    pub const fn inner(&self) -> &S {
        self.0.inner()
    }

    /// Asserts that every transaction was committed or rolled back. Do not call it after a removal
    /// was cancelled.
    ///
    /// # Panics
    /// If a transaction was only dropped, or is still open: an answer based on it has no guarantee.
    #[track_caller]
    pub fn assert_settled(&self) {
        let open = self.0.interceptor().open.load(Ordering::SeqCst);
        assert_eq!(open, 0, "transactions that were neither committed nor rolled back");
    }
}

impl<S: Store> Store for Strict<S> {
    type Tx = InterceptedTransaction<S::Tx, Protocol>;

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

/// The interceptor of a [`Strict`] store.
#[derive(Debug, Default)]
pub struct Protocol {
    open: AtomicUsize,
}

/// The state of one transaction of a [`Strict`] store.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProtocolState {
    removal: Option<PendingRemoval>,
    next: Expect,
}

/// The prefetched removal, with the answers so far.
#[derive(Clone, Copy, Debug)]
struct PendingRemoval {
    actor: UserId,
    removal: Removal,
    chat: Option<ChatId>,
    owner: OwnerChange,
}

/// The kind of call that is allowed next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Begin,
    Messenger,
    Access,
    Chat,
    Permission,
    Active,
    Role,
    Successor,
    Write,
    /// The removal is decided: another removal, or the commit.
    Decided,
    /// A call failed: the rollback.
    Failed,
}

impl ProtocolState {
    /// Returns the expected call, or `None` if it is not a query or write of the removal.
    fn expected(&self) -> Option<PortCall> {
        let PendingRemoval { actor, removal, chat, owner } = self.removal?;
        let Removal { entity, user, .. } = removal;
        Some(match self.next {
            Expect::Messenger => PortCall::MessengerInstalled,
            Expect::Access => PortCall::HasAccess { actor, entity },
            Expect::Chat => match removal.chat {
                Some(chat) => PortCall::IsLinked { chat, entity },
                None => PortCall::LastChat { entity },
            },
            Expect::Permission => PortCall::MayRemove { actor, chat: chat?, entity },
            Expect::Active => PortCall::IsActive { user },
            Expect::Role => PortCall::Role { chat: chat?, user },
            Expect::Successor => PortCall::Successor { chat: chat?, leaving: user },
            Expect::Write => {
                PortCall::RemoveMember(Change { chat: chat?, user, actor, entity, owner })
            }
            Expect::Begin | Expect::Decided | Expect::Failed => return None,
        })
    }

    /// Describes the expected call.
    fn describe_expected(&self) -> String {
        match (self.next, self.expected()) {
            (_, Some(call)) => format!("{call:?}"),
            (Expect::Begin, None) => "Begin".to_owned(),
            (Expect::Failed, None) => "a call failed, so Rollback".to_owned(),
            (_, None) if self.removal.is_none() => "a prefetch".to_owned(),
            (_, None) => "the removal is decided, so Commit or another prefetch".to_owned(),
        }
    }

    fn allows(&self, call: &PortCall) -> bool {
        match (self.next, call) {
            (Expect::Begin, PortCall::Begin)
            | (Expect::Decided, PortCall::Commit)
            | (Expect::Failed, PortCall::Rollback) => true,
            _ => self.expected().as_ref() == Some(call),
        }
    }

    /// Updates the state with the result of a call.
    fn advance(&mut self, returned: Returned) {
        let Some(pending) = &mut self.removal else {
            self.next = Expect::Decided;
            return;
        };
        self.next = match (self.next, returned) {
            (Expect::Messenger, Returned::Fact(true)) => Expect::Access,
            (Expect::Access, Returned::Fact(true)) => Expect::Chat,
            (Expect::Chat, Returned::Fact(true)) => Expect::Permission,
            (Expect::Chat, Returned::Chat(Some(last))) => {
                pending.chat = Some(last);
                Expect::Permission
            }
            (Expect::Permission, Returned::Fact(true)) => Expect::Active,
            (Expect::Active, Returned::Fact(true)) => Expect::Role,
            (Expect::Role, Returned::Role(Some(Role::Member))) => Expect::Write,
            (Expect::Role, Returned::Role(Some(Role::Owner))) => Expect::Successor,
            (Expect::Successor, Returned::User(successor)) => {
                pending.owner = successor.map_or(OwnerChange::Vacant, OwnerChange::PassesTo);
                Expect::Write
            }
            _ => Expect::Decided,
        };
    }
}

impl Interceptor for Protocol {
    type Session = ProtocolState;

    fn prefetched(&self, state: &mut ProtocolState, actor: UserId, removal: &Removal) {
        assert_eq!(
            state.next,
            Expect::Decided,
            "a removal is prefetched before the previous one is decided"
        );
        *state = ProtocolState {
            removal: Some(PendingRemoval {
                actor,
                removal: *removal,
                chat: removal.chat,
                owner: OwnerChange::Unchanged,
            }),
            next: Expect::Messenger,
        };
    }

    async fn before(&self, state: &mut ProtocolState, call: &PortCall) -> Result<(), StoreError> {
        assert!(
            state.allows(call),
            "expected: {}; the call is {call:?}",
            state.describe_expected()
        );
        // Settled by the attempt: a failed commit or rollback ends the transaction, too.
        if matches!(call, PortCall::Commit | PortCall::Rollback) {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn after(
        &self,
        state: &mut ProtocolState,
        call: &PortCall,
        returned: Result<Returned, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        match returned {
            Ok(returned) => state.advance(returned),
            Err(_) => state.next = Expect::Failed,
        }
        // A transaction whose `begin` failed need not be settled.
        if *call == PortCall::Begin && returned.is_ok() {
            self.open.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}
