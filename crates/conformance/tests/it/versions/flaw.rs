//! What can be wrong with the backend.

use crm_chat_domain::{Snapshot, UserId};

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A commit overwrites the chat by what it saw at its beginning.
    LostUpdate,
    /// A transaction sees what others have not committed.
    DirtyRead,
    /// Only those who write the same conflict: snapshot isolation.
    WriteSkew,
    /// Who asked for the last chat is not told of links made or deleted since.
    LastChatUnread,
    /// Who asked for a role is not told of an owner set since.
    OwnerUnread,
    /// Who asked for a successor is not told of users activated or deactivated since.
    SuccessorUnread,
    /// Who asked for a successor is not told of members who joined or left since.
    MembersUnread,
    /// Who has written nothing yet reads what is committed now, and is not certified.
    LiveReads,
    /// What was written stays when the transaction is dropped.
    NoRollbackOnDrop,
    /// The lock stays when the transaction is dropped.
    LockLeft,
    /// Who wrote nothing is not certified, and leaves no trace for those who come after.
    RefusalRollsBack,
    /// The commit is made in two steps, and may be dropped between them.
    CommitInTwoSteps,
    /// Writers lock users one after another, and nobody looks for a deadlock.
    RowLocks,
    /// A link made again keeps its place.
    RelinkedKeepsPlace,
    /// Joining twice makes a member twice.
    JoinsTwice,
    /// The rights in a deleted chat come back with one of the same id.
    RightsComeBack,
    /// A former owner who joins again owns again.
    OwnerRemembered,
    /// The owner is moved before the rules are asked.
    OwnerMovedFirst,
    /// Any member may succeed.
    OwnerMayBeABot,
    /// The successor is the one with the lowest id.
    OwnerByLowestId,
    /// Only who joined later than the owner may succeed.
    OwnerByLaterJoining,
    /// The successor is sought among the members at the beginning of the transaction.
    OwnerFromOldMembers,
    /// The removal of any member passes the ownership on.
    OwnerMovedByMembers,
    /// The owner stays when nobody may follow.
    OwnerStays,
    /// Every question about a right is recorded in the log.
    RecordOfAQuestion,
    /// A removal of nobody is recorded.
    RecordWithoutChange,
    /// A removal is not recorded.
    ChangeWithoutRecord,
    /// Of two records that are alike one is kept.
    AlikeRecordsAreOne,
    /// The numbers of loaded records do not begin at 1.
    NumberedFromElsewhere,
    /// Of a long list of members only the first hundred are kept.
    MembersCut,
    /// A record bears no time.
    RecordWithoutTime,
    /// Records are numbered when they are written, not when they are committed.
    NumberedEarly,
    /// Access is kept by entity, without the user.
    AccessCachedAcrossUsers,
    /// Access to the entity stands for the right to remove.
    AccessIsRight,
    /// A failure to read the members is taken for the absence of a member.
    FailureIsAbsence,
    /// The users in chats are cut to 32 bits.
    IdsCut,
    /// Access is looked up by ids that are rounded to a float.
    AccessRounded,
    /// The write says that it removed a member, whatever it did.
    WriteAlwaysSucceeds,
    /// Everybody is a member of every chat.
    EverybodyIsAMember,
    /// The user leaves all chats.
    LeavesAllChats,
    /// All known users are active.
    InactiveCounts,
    /// A bot is no member.
    BotsAreNoMembers,
    /// The kind of an entity does not count.
    KindIgnored,
    /// Access to one entity of a chat is access to all of that chat.
    AccessThroughChat,
    /// An entity without a chat has the last chat of all.
    AnyLastChat,
    /// Every chat belongs to every entity.
    AnyLink,
    /// The messenger is always installed.
    MessengerAssumed,
    /// The links of a user's chat go when the user does.
    LinksGoWithTheLast,
}

/// Whether two ids are the same once they are rounded to a 64-bit float.
#[expect(clippy::cast_precision_loss, reason = "the flaw")]
pub(crate) fn round_to_the_same(one: i64, other: i64) -> bool {
    (one as f64).to_bits() == (other as f64).to_bits()
}

/// Cuts the ids of the members to 32 bits.
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
