//! The flaws that can be seeded into the backend.

use crm_chat_domain::{Snapshot, UserId};

/// A flaw of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A commit overwrites the chat with the version read at its beginning.
    LostUpdate,
    /// A transaction reads uncommitted changes of others.
    DirtyRead,
    /// Only writes to the same row conflict, as under snapshot isolation.
    WriteSkew,
    /// A transaction that read the last chat is not invalidated by later link changes.
    LastChatUnread,
    /// A transaction that read a role is not invalidated by a later change of owner.
    OwnerUnread,
    /// A transaction that read the successor is not invalidated by later activations and
    /// deactivations.
    SuccessorUnread,
    /// A transaction that read the successor is not invalidated by later joins and leaves.
    MembersUnread,
    /// Until its first write, a transaction reads the latest committed state and is not certified.
    LiveReads,
    /// The writes of a dropped transaction stay.
    NoRollbackOnDrop,
    /// A dropped transaction keeps its lock.
    LockLeaked,
    /// A read-only transaction is neither certified nor considered when others are.
    ReadsNotCertified,
    /// A commit has two steps and can be dropped between them.
    CommitInTwoSteps,
    /// Writers lock users one after another, without deadlock detection.
    RowLocks,
    /// A chat that is linked again keeps its old position.
    RelinkKeepsPosition,
    /// Joining twice adds the member twice.
    JoinsTwice,
    /// The rights in a deleted chat apply to a new chat with the same id.
    RightsRevive,
    /// A former owner who joins again becomes the owner.
    OwnerRemembered,
    /// Ownership passes on before the rules are checked.
    OwnerMovedBeforeRules,
    /// Any member may succeed, bots included.
    BotMayOwn,
    /// The member with the lowest id succeeds.
    OwnerByLowestId,
    /// Only members who joined after the owner may succeed.
    OnlyLaterMembersSucceed,
    /// The successor is chosen from the members at the beginning of the transaction.
    SuccessorFromStaleMembers,
    /// The removal of any member passes ownership on.
    AnyRemovalMovesOwner,
    /// The owner stays if no member may succeed.
    OwnerStays,
    /// Every query of a right is recorded in the log.
    QueryRecorded,
    /// A removal that removes no member is recorded.
    RecordWithoutChange,
    /// A removal is not recorded.
    ChangeWithoutRecord,
    /// Of two equal records, one is kept.
    EqualRecordsMerged,
    /// The numbers of loaded records do not start at 1.
    NumbersStartElsewhere,
    /// Only the first hundred members of a chat are kept.
    MembersCut,
    /// A record has no time.
    RecordWithoutTime,
    /// Records are numbered when they are written, not when they are committed.
    NumberedEarly,
    /// Access is cached by entity, without the user.
    AccessCachedAcrossUsers,
    /// Access to the entity implies the right to remove.
    AccessImpliesRight,
    /// A failure to read the members counts as absence of the member.
    FailureIsAbsence,
    /// The user ids in chats are cut to 32 bits.
    IdsCut,
    /// Access is looked up by ids rounded to a float.
    AccessRounded,
    /// The write always reports that it removed a member.
    WriteAlwaysSucceeds,
    /// Every user is a member of every chat.
    EveryoneIsMember,
    /// The user is removed from all chats.
    LeavesAllChats,
    /// All known users count as active.
    InactiveCounts,
    /// Bots do not count as members.
    BotsNotMembers,
    /// The kind of an entity is ignored.
    KindIgnored,
    /// Access to one entity of a chat is access to all its entities.
    AccessThroughChat,
    /// An entity without a chat gets the newest link of any entity.
    AnyLastChat,
    /// Every chat belongs to every entity.
    AnyLink,
    /// The messenger always counts as installed.
    MessengerAssumed,
    /// The links of a chat are deleted with its last member.
    LinksDeletedWithLastMember,
}

/// Returns whether two ids become equal when rounded to a 64-bit float.
#[expect(clippy::cast_precision_loss, reason = "the loss is the flaw")]
pub(crate) fn equal_when_rounded(one: i64, other: i64) -> bool {
    (one as f64).to_bits() == (other as f64).to_bits()
}

/// Cuts the ids of the members to 32 bitset.
pub(crate) fn cut_ids(world: &mut Snapshot) {
    let cut = |id: &mut UserId| {
        if let Some(short) = UserId::new(id.get() & 0xffff_ffff) {
            *id = short;
        }
    };
    for chat in &mut world.chats {
        chat.members.iter_mut().for_each(cut);
        chat.owner.iter_mut().for_each(cut);
    }
}
