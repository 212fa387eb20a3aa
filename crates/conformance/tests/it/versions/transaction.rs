//! The transaction of the multi-version backend.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use async_lock::MutexGuardArc;
use crm_chat_domain::snapshot::{Chat, UserKind};
use crm_chat_domain::{
    Change, ChatId, ChatRepo, CrmRepo, Entity, OwnerChange, Permissions, Removal, RemovalRecord,
    Role, Snapshot, StoreError, StoreErrorKind, Timestamp, UnitOfWork, UserId, UserRepo,
};
use futures_lite::future::yield_now;

use super::flaw::equal_when_rounded;
use super::{Data, Flaw, Footprint, Key, Mode, Shared, runtime};

pub(crate) struct VersionsTransaction {
    shared: Arc<Shared>,
    lock: Option<MutexGuardArc<()>>,
    rows: Vec<MutexGuardArc<()>>,
    /// The state committed at `begin`, with the writes of this transaction.
    view: Snapshot,
    members_at_first: Vec<Chat>,
    writes: Vec<(Change, u64)>,
    footprint: Footprint,
    committed: bool,
}

impl VersionsTransaction {
    pub(super) fn new(shared: Arc<Shared>, lock: Option<MutexGuardArc<()>>) -> Self {
        let data = shared.data();
        let mut view = data.world.clone();
        if shared.has(Flaw::DirtyRead) {
            for change in &data.pending {
                make(&mut view, change);
            }
        }
        let began = data.clock;
        drop(data);
        Self {
            members_at_first: view.chats.clone(),
            shared,
            lock,
            rows: Vec::new(),
            view,
            writes: Vec::new(),
            footprint: Footprint { began, ..Footprint::default() },
            committed: false,
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.shared.has(flaw)
    }

    fn read(&mut self, key: Key) {
        if self.has(Flaw::LiveReads) && self.writes.is_empty() {
            self.view = self.shared.data().world.clone();
        }
        self.footprint.reads.insert(key);
    }

    fn chat(&self, id: ChatId) -> Option<&Chat> {
        self.view.chats.iter().find(|chat| chat.id == id)
    }

    fn is_active_human(&self, id: UserId) -> bool {
        let mut users = self.view.users.iter();
        users.any(|user| user.id == id && user.active && user.kind == UserKind::Human)
    }

    fn certify(&mut self, data: &Data) -> Result<(), StoreError> {
        let Footprint { committed, writes, .. } = &mut self.footprint;
        *committed = data.clock + 1;
        let only_reads = writes.is_empty();
        let conflict = match self.shared.flaw {
            Some(Flaw::LostUpdate) => false,
            Some(Flaw::WriteSkew) => self.footprint.overwrites(&data.committed),
            Some(Flaw::ReadsNotCertified | Flaw::LiveReads) if only_reads => false,
            _ => self.footprint.closes_a_cycle(&data.committed),
        };
        if conflict && self.shared.mode == Mode::Optimistic {
            return Err(StoreError::new(StoreErrorKind::Conflict, "commit a transaction"));
        }
        Ok(())
    }

    /// Applies the writes to the committed state.
    fn apply(&self, data: &mut Data) {
        for (change, _) in &self.writes {
            if self.has(Flaw::LostUpdate) {
                let seen = self.chat(change.chat).cloned();
                if let (Some(chat), Some(seen)) = (data.chat(change), seen) {
                    *chat = seen;
                }
            } else {
                make(&mut data.world, change);
            }
            flawed_make(&mut data.world, change, self.shared.flaw);
        }
    }

    fn record(&self, data: &mut Data) {
        for (change, number) in &self.writes {
            if self.has(Flaw::ChangeWithoutRecord) {
                continue;
            }
            let number = match number {
                0 => data.next_number(),
                early => *early,
            };
            append(data, change, number, self.shared.flaw);
        }
    }

    /// Performs the first half of the commit.
    fn change(&mut self, data: &mut Data) -> Result<(), StoreError> {
        self.certify(data)?;
        self.apply(data);
        self.committed = true;
        Ok(())
    }

    /// Performs the second half of the commit.
    fn settle(&self, data: &mut Data) {
        self.record(data);
        data.clock += 1;
        if !(self.has(Flaw::ReadsNotCertified) && self.writes.is_empty()) {
            data.committed.push(self.footprint.clone());
        }
    }

    fn forget_pending(&self, data: &mut Data) {
        for (change, _) in &self.writes {
            data.pending.retain(|pending| pending != change);
        }
    }
}

/// Ends a membership and updates the owner.
fn make(world: &mut Snapshot, change: &Change) {
    for chat in world.chats.iter_mut().filter(|chat| chat.id == change.chat) {
        chat.members.retain(|member| *member != change.user);
        match change.owner {
            OwnerChange::Unchanged => {}
            OwnerChange::PassesTo(owner) => chat.owner = Some(owner),
            OwnerChange::Vacant => chat.owner = None,
        }
    }
}

/// Applies the side effects of some flaws.
fn flawed_make(world: &mut Snapshot, change: &Change, flaw: Option<Flaw>) {
    let chats = world.chats.iter_mut();
    match flaw {
        Some(Flaw::LeavesAllChats) => {
            chats.for_each(|chat| chat.members.retain(|member| *member != change.user));
        }
        Some(Flaw::OwnerStays) if change.owner == OwnerChange::Vacant => {
            let left = chats.filter(|chat| chat.id == change.chat);
            left.for_each(|chat| chat.owner = Some(change.user));
        }
        Some(Flaw::AnyRemovalMovesOwner) => {
            let left = chats.filter(|chat| chat.id == change.chat);
            left.for_each(|chat| chat.owner = chat.members.first().copied());
        }
        Some(Flaw::LinksDeletedWithLastMember) => {
            let empty =
                |id| world.chats.iter().any(|chat| chat.id == id && chat.members.is_empty());
            world.links.retain(|link| !empty(link.chat));
        }
        _ => {}
    }
}

fn append(data: &mut Data, change: &Change, number: u64, flaw: Option<Flaw>) {
    #[expect(clippy::disallowed_methods, reason = "the backend stamps its records")]
    let now = Timestamp::try_from(SystemTime::now()).ok();
    let time = now.filter(|_| flaw != Some(Flaw::RecordWithoutTime));
    // Keep the log in ascending order even if the number was assigned early.
    let index = data.numbers.partition_point(|earlier| *earlier < number);
    data.numbers.insert(index, number);
    data.world.removals.insert(index, RemovalRecord::new(change, time));
}

impl Drop for VersionsTransaction {
    fn drop(&mut self) {
        runtime::assert_entered();
        self.forget_pending(&mut self.shared.data());
        if self.committed {
            return;
        }
        if self.has(Flaw::NoRollbackOnDrop) {
            let mut data = self.shared.data();
            self.apply(&mut data);
            self.record(&mut data);
        }
        if self.has(Flaw::LockLeaked) {
            std::mem::forget(self.lock.take());
        }
    }
}

impl UnitOfWork for VersionsTransaction {
    async fn prefetch(&mut self, _: UserId, removal: &Removal) {
        let chat = removal.chat.filter(|_| self.has(Flaw::OwnerMovedBeforeRules));
        let newest = self.view.links.iter().rev().find(|link| link.entity == removal.entity);
        let chat = chat.or(newest.map(|link| link.chat));
        let Some(chat) = chat.filter(|_| self.has(Flaw::OwnerMovedBeforeRules)) else {
            return;
        };
        let mut data = self.shared.data();
        for chat in data.world.chats.iter_mut().filter(|known| known.id == chat) {
            if chat.owner == Some(removal.user) {
                chat.owner = chat.members.iter().copied().find(|id| *id != removal.user);
            }
        }
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        yield_now().await;
        let shared = Arc::clone(&self.shared);
        if self.has(Flaw::CommitInTwoSteps) {
            self.change(&mut shared.data())?;
            yield_now().await;
            self.settle(&mut shared.data());
        } else {
            let mut data = shared.data();
            self.change(&mut data)?;
            self.settle(&mut data);
        }
        Ok(())
    }

    async fn rollback(self) -> Result<(), StoreError> {
        yield_now().await;
        Ok(())
    }
}

impl ChatRepo for VersionsTransaction {
    async fn messenger_installed(&mut self) -> Result<bool, StoreError> {
        yield_now().await;
        self.read(Key::Messenger);
        Ok(self.view.messenger_installed || self.has(Flaw::MessengerAssumed))
    }

    async fn role(&mut self, id: ChatId, user: UserId) -> Result<Option<Role>, StoreError> {
        yield_now().await;
        if self.shared.corrupted.load(Ordering::SeqCst) {
            return match self.shared.flaw {
                Some(Flaw::FailureIsAbsence) => Ok(None),
                _ => Err(StoreError::new(StoreErrorKind::Corrupt, "read the members")),
            };
        }
        self.read(Key::Member(id, user));
        if !self.has(Flaw::OwnerUnread) {
            self.read(Key::Owner(id));
        }
        let bots = self.has(Flaw::BotsNotMembers);
        let mut users = self.view.users.iter();
        if bots && users.any(|known| known.id == user && known.kind == UserKind::Bot) {
            return Ok(None);
        }
        let everybody = self.has(Flaw::EveryoneIsMember);
        let chat = self.chat(id);
        let chat = chat.filter(|chat| everybody || chat.members.contains(&user));
        Ok(chat.map(|chat| match chat.owner {
            Some(owner) if owner == user => Role::Owner,
            _ => Role::Member,
        }))
    }

    async fn successor(
        &mut self,
        id: ChatId,
        leaving: UserId,
    ) -> Result<Option<UserId>, StoreError> {
        yield_now().await;
        if !self.has(Flaw::MembersUnread) {
            self.read(Key::Members(id));
        }
        let at_first = self.members_at_first.iter().find(|chat| chat.id == id);
        let old = self.has(Flaw::SuccessorFromStaleMembers);
        let chat = if old { at_first } else { self.chat(id) };
        let mut members = chat.map(|chat| chat.members.clone()).unwrap_or_default();
        let position = members.iter().position(|member| *member == leaving);
        if self.has(Flaw::OnlyLaterMembersSucceed) {
            members.drain(..position.unwrap_or_default());
        }
        members.retain(|member| *member != leaving);
        if !self.has(Flaw::SuccessorUnread) {
            let read = members.iter().map(|member| Key::User(*member));
            self.footprint.reads.extend(read);
        }
        if self.has(Flaw::OwnerByLowestId) {
            members.sort();
        }
        let any = self.has(Flaw::BotMayOwn);
        Ok(members.into_iter().find(|member| any || self.is_active_human(*member)))
    }

    async fn remove_member(&mut self, change: &Change) -> Result<bool, StoreError> {
        yield_now().await;
        if self.has(Flaw::RowLocks) {
            let row = Arc::clone(
                self.shared
                    .rows
                    .lock()
                    .expect("the lock is not poisoned")
                    .entry(change.user)
                    .or_default(),
            );
            self.rows.push(row.lock_arc().await);
        }
        self.read(Key::Member(change.chat, change.user));
        let chat = self.chat(change.chat);
        let removed = chat.is_some_and(|chat| chat.members.contains(&change.user));
        if removed {
            self.write(change);
        } else if self.has(Flaw::RecordWithoutChange) {
            let mut data = self.shared.data();
            let number = data.next_number();
            append(&mut data, change, number, None);
        }
        Ok(removed || self.has(Flaw::WriteAlwaysSucceeds) || self.has(Flaw::EveryoneIsMember))
    }
}

impl VersionsTransaction {
    fn write(&mut self, change: &Change) {
        make(&mut self.view, change);
        let &Change { chat, user, owner, .. } = change;
        let writes: BTreeSet<_> = [Key::Member(chat, user), Key::Members(chat)].into();
        self.footprint.writes.extend(writes);
        if owner != OwnerChange::Unchanged {
            self.footprint.writes.insert(Key::Owner(chat));
        }
        let mut data = self.shared.data();
        data.pending.push(*change);
        let early = self.shared.has(Flaw::NumberedEarly);
        let number = if early { data.next_number() } else { 0 };
        self.writes.push((*change, number));
    }
}

impl CrmRepo for VersionsTransaction {
    async fn last_chat(&mut self, entity: Entity) -> Result<Option<ChatId>, StoreError> {
        yield_now().await;
        if !self.has(Flaw::LastChatUnread) {
            self.read(Key::Links(entity));
        }
        let mut newest_first = self.view.links.iter().rev();
        let last = newest_first.find(|link| link.entity == entity);
        let any = self.view.links.last().filter(|_| self.has(Flaw::AnyLastChat));
        Ok(last.or(any).map(|link| link.chat))
    }

    async fn is_linked(&mut self, chat: ChatId, entity: Entity) -> Result<bool, StoreError> {
        yield_now().await;
        self.read(Key::Links(entity));
        let any = self.has(Flaw::AnyLink);
        let mut links = self.view.links.iter();
        Ok(links.any(|link| link.chat == chat && (any || link.entity == entity)))
    }
}

impl UserRepo for VersionsTransaction {
    async fn is_active(&mut self, user: UserId) -> Result<bool, StoreError> {
        yield_now().await;
        self.read(Key::User(user));
        let any = self.has(Flaw::InactiveCounts);
        let mut users = self.view.users.iter();
        Ok(users.any(|known| known.id == user && (any || known.active)))
    }
}

impl Permissions for VersionsTransaction {
    async fn has_access(&mut self, actor: UserId, entity: Entity) -> Result<bool, StoreError> {
        yield_now().await;
        self.read(Key::Access(actor, entity));
        let kindless = self.has(Flaw::KindIgnored);
        let through_chat = self.has(Flaw::AccessThroughChat);
        let links = &self.view.links;
        let share_a_chat = |other: Entity| {
            let mut of_other = links.iter().filter(|link| link.entity == other);
            of_other
                .any(|one| links.iter().any(|link| link.chat == one.chat && link.entity == entity))
        };
        let is_meant = |other: Entity| {
            other == entity
                || kindless && other.id == entity.id
                || through_chat && share_a_chat(other)
        };
        let is_actor = |other: UserId| {
            let rounded = self.has(Flaw::AccessRounded);
            other == actor || rounded && equal_when_rounded(other.get(), actor.get())
        };
        let mut access = self.view.access.iter();
        let has_access = access.any(|access| is_actor(access.user) && is_meant(access.entity));
        if self.has(Flaw::AccessCachedAcrossUsers) {
            let mut cache = self.shared.access_cache.lock().expect("the lock is not poisoned");
            return Ok(*cache.entry(entity).or_insert(has_access));
        }
        Ok(has_access)
    }

    async fn may_remove(
        &mut self,
        actor: UserId,
        chat: ChatId,
        entity: Entity,
    ) -> Result<bool, StoreError> {
        yield_now().await;
        self.read(Key::Remover(actor, chat));
        if self.has(Flaw::QueryRecorded) {
            let change = Change { chat, user: actor, actor, entity, owner: OwnerChange::Unchanged };
            let mut data = self.shared.data();
            let number = data.next_number();
            append(&mut data, &change, number, None);
        }
        if self.has(Flaw::AccessImpliesRight) {
            return self.has_access(actor, entity).await;
        }
        let mut removers = self.view.removers.iter();
        Ok(removers.any(|remover| remover.user == actor && remover.chat == chat))
    }
}
