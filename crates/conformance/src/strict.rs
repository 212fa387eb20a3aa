//! A store that is stricter with its caller than any real one.
//!
//! [`Strict`] wraps any store and knows what a removal may ask. Whoever asks out of order, asks what was asked, asks
//! about something else, goes on after an answer that decides or after a failure, writes what the answers do not say,
//! commits before the end or rolls back without a failure is stopped by a panic that tells what was expected:
//!
//! ```
//! use crm_chat_conformance::fixtures::{office, removal, user};
//! use crm_chat_conformance::strict::Strict;
//! use crm_chat_domain::remove_user;
//! # futures_lite::future::block_on(async {
//!
//! # let store = crm_chat_memory::Memory::new();
//! # store.load(&office()).await.unwrap();
//! let store = Strict::new(store);
//! remove_user(&store, user(1), &removal(12)).await.unwrap();
//! store.assert_settled();
//! # });
//! ```
//!
//! It is for removals. An explanation asks on after the rule that decides, and makes no change where none does: it is
//! stopped for either. That nothing is asked of a transaction that has ended the types see to.
//!
//! Put faults below it, `Strict<Faulty<S>>`, so that it sees what failed; above it, it would see a rollback without a reason.

use std::sync::atomic::{AtomicUsize, Ordering};

use crm_chat_domain::{
    Change, ChatId, OwnerChange, Removal, Role, Store, StoreError, StoreErrorKind, UserId,
};

use crate::faults::{Call, Tap, Tapped, TappedTransaction, Told};

/// A store that panics when its caller breaks the protocol of a removal. A handle: its clones are the same store.
#[derive(Clone, Debug)]
pub struct Strict<S>(Tapped<S, Protocol>);

impl<S: Store> Strict<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self(Tapped::new(store, Protocol::default()))
    }

    /// Returns the store beneath.
    pub const fn inner(&self) -> &S {
        self.0.inner()
    }

    /// Checks that every transaction that was begun was committed or rolled back. Not so after a removal was cancelled.
    ///
    /// # Panics
    /// If one was merely dropped, or is still open: an answer that was given from it rests on nothing.
    #[track_caller]
    pub fn assert_settled(&self) {
        let open = self.0.tap().open.load(Ordering::SeqCst);
        assert_eq!(open, 0, "transactions that were neither committed nor rolled back");
    }
}

impl<S: Store> Store for Strict<S> {
    type Tx = TappedTransaction<S::Tx, Protocol>;

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

/// What the callers of a [`Strict`] store must keep.
#[derive(Debug, Default)]
pub struct Protocol {
    open: AtomicUsize,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    removal: Option<Asked>,
    next: Next,
}

/// What was announced, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    actor: UserId,
    removal: Removal,
    chat: Option<ChatId>,
    owner: OwnerChange,
}

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
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
    /// An answer stands: another removal, or the commit.
    Decided,
    /// A call failed: the rollback.
    Failed,
}

impl Standing {
    /// The call that must come next, whole; `None` where it is no question.
    fn expected(&self) -> Option<Call> {
        let Asked { actor, removal, chat, owner } = self.removal?;
        let Removal { entity, user, .. } = removal;
        Some(match self.next {
            Next::Messenger => Call::MessengerInstalled,
            Next::Access => Call::HasAccess { actor, entity },
            Next::Chat => match removal.chat {
                Some(chat) => Call::IsLinked { chat, entity },
                None => Call::LastChat { entity },
            },
            Next::Permission => Call::MayRemove { actor, chat: chat?, entity },
            Next::Active => Call::IsActive { user },
            Next::Role => Call::Role { chat: chat?, user },
            Next::Successor => Call::Successor { chat: chat?, leaving: user },
            Next::Write => Call::RemoveMember(Change { chat: chat?, user, actor, entity, owner }),
            Next::Begin | Next::Decided | Next::Failed => return None,
        })
    }

    /// What must come next, in words.
    fn due(&self) -> String {
        match (self.next, self.expected()) {
            (_, Some(call)) => format!("{call:?}"),
            (Next::Begin, None) => "Begin".to_owned(),
            (Next::Failed, None) => "a call failed, so Rollback".to_owned(),
            (_, None) if self.removal.is_none() => "an announcement".to_owned(),
            (_, None) => "the removal is decided, so Commit or another announcement".to_owned(),
        }
    }

    fn admits(&self, call: &Call) -> bool {
        match (self.next, call) {
            (Next::Begin, Call::Begin)
            | (Next::Decided, Call::Commit)
            | (Next::Failed, Call::Rollback) => true,
            _ => self.expected().as_ref() == Some(call),
        }
    }

    /// What may come after an answer.
    fn follow(&mut self, told: Told) {
        let Some(asked) = &mut self.removal else {
            self.next = Next::Decided;
            return;
        };
        self.next = match (self.next, told) {
            (Next::Messenger, Told::Fact(true)) => Next::Access,
            (Next::Access, Told::Fact(true)) => Next::Chat,
            (Next::Chat, Told::Fact(true)) => Next::Permission,
            (Next::Chat, Told::Chat(Some(last))) => {
                asked.chat = Some(last);
                Next::Permission
            }
            (Next::Permission, Told::Fact(true)) => Next::Active,
            (Next::Active, Told::Fact(true)) => Next::Role,
            (Next::Role, Told::Role(Some(Role::Member))) => Next::Write,
            (Next::Role, Told::Role(Some(Role::Owner))) => Next::Successor,
            (Next::Successor, Told::User(successor)) => {
                asked.owner = successor.map_or(OwnerChange::Vacant, OwnerChange::PassesTo);
                Next::Write
            }
            _ => Next::Decided,
        };
    }
}

impl Tap for Protocol {
    type Session = Standing;

    fn announced(&self, standing: &mut Standing, actor: UserId, removal: &Removal) {
        assert_eq!(
            standing.next,
            Next::Decided,
            "a removal is announced before the one before it is decided"
        );
        *standing = Standing {
            removal: Some(Asked {
                actor,
                removal: *removal,
                chat: removal.chat,
                owner: OwnerChange::Unchanged,
            }),
            next: Next::Messenger,
        };
    }

    async fn before(&self, standing: &mut Standing, call: &Call) -> Result<(), StoreError> {
        assert!(standing.admits(call), "expected: {}; the call is {call:?}", standing.due());
        if matches!(call, Call::Commit | Call::Rollback) {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn after(
        &self,
        standing: &mut Standing,
        call: &Call,
        told: Result<Told, StoreErrorKind>,
    ) -> Result<(), StoreError> {
        match told {
            Ok(told) => standing.follow(told),
            Err(_) => standing.next = Next::Failed,
        }
        if *call == Call::Begin && told.is_ok() {
            self.open.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}
