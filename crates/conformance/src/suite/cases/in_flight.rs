//! Facts that change while a removal relies on them.

use crm_chat_domain::snapshot::{AccessGrant, EditRejection, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    ChatRepo, Edit, Outcome, OwnerChange, Refusal, Removal, Request, Role, Rule, Snapshot, Store,
    UnitOfWork, UserId,
};

use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user};
use crate::model::{Model, ModelExplanation, ModelVerdict};
use crate::suite::harness::Harness;
use crate::suite::interleaving::{ParticipantStore, SyncPoint, run_during};
use crate::suite::perform::RemovalReply;
use crate::suite::runner::TestContext;
use crate::suite::test_store::TestStore;

const POINTS: [SyncPoint; 3] = [SyncPoint::Begun, SyncPoint::Write, SyncPoint::Commit];

/// R4: a right of the actor that is revoked between check and write is serialized before or after
/// the removal, which is never made on the stale right.
pub fn r4_right_revoked_in_flight<H: Harness>(cx: &TestContext<H>) {
    let edits = revocations().map(|(edit, _)| edit);
    assert_serializable_with_edits(cx, &office(), &removal(12).in_chat(chat(8773)), &edits);
}

/// Returns the edits that revoke each of the actor's rights, and the refusals that they cause.
fn revocations() -> [(Edit, Refusal); 2] {
    let (actor, chat, deal) = (user(1), chat(8773), entity("deal:288"));
    let access = AccessGrant { user: actor, entity: deal };
    let no_access = Refusal::AccessDenied { actor, entity: deal };
    let remover = RemovalRight { user: actor, chat };
    let no_right = Refusal::RemovalDenied { actor, chat, entity: deal };
    [(Edit::RevokeAccess(access), no_access), (Edit::RevokeRemoval(remover), no_right)]
}

/// R5: the link deleted, or the user deactivated, between check and write; the same for the
/// messenger and the chat.
pub fn r5_fact_undone_in_flight<H: Harness>(cx: &TestContext<H>) {
    let edits = [
        Edit::Unlink(deal_link(8773)),
        Edit::DeactivateUser { user: user(12) },
        // Replaces the user, which a store may implement by another statement.
        Edit::AddUser(inactive(12)),
        Edit::SetMessenger { installed: false },
        Edit::DeleteChat { chat: chat(8773) },
    ];
    assert_serializable_with_edits(cx, &office(), &removal(12).in_chat(chat(8773)), &edits);
}

fn inactive(id: i64) -> User {
    User { id: user(id), active: false, kind: UserKind::Human }
}

/// R5: the last chat's link deleted, or another link made the newest, between the query for the
/// last chat and the write.
pub fn r5_last_chat_changed_in_flight<H: Harness>(cx: &TestContext<H>) {
    let edits =
        [Edit::Unlink(deal_link(8773)), Edit::Link(deal_link(9000)), Edit::Link(deal_link(8800))];
    assert_serializable_with_edits(cx, &office(), &removal(12), &edits);
}

fn deal_link(id: i64) -> Link {
    Link { entity: entity("deal:288"), chat: chat(id) }
}

/// R3: the owner set or cleared, or a successor who joins, leaves or is deactivated, between check
/// and write; the owner is a member, as in some serial order.
pub fn r3_succession_changed_in_flight<H: Harness>(cx: &TestContext<H>) {
    let chat = chat(8773);
    let set_owner = |id| Edit::SetOwner { chat, user: user(id) };
    let during_owner_removal = [
        Edit::Leave { chat, user: user(13) },
        Edit::DeactivateUser { user: user(13) },
        Edit::ActivateUser { user: user(14) },
        Edit::AddUser(User { kind: UserKind::Bot, active: true, ..inactive(13) }),
        Edit::ClearOwner { chat },
        set_owner(13),
    ];
    let owner_removal = removal(7).in_chat(chat);
    assert_serializable_with_edits(cx, &office(), &owner_removal, &during_owner_removal);
    let member_removal = removal(12).in_chat(chat);
    assert_serializable_with_edits(cx, &office(), &member_removal, &[set_owner(12)]);

    let mut no_successor = office();
    chat_of(&mut no_successor, chat).members = [20, 7].map(user).to_vec();
    let join = Edit::Join { chat, user: user(13) };
    assert_serializable_with_edits(cx, &no_successor, &owner_removal, &[join]);
}

/// The results of a removal, of an edit made during it, and of an explanation after the edit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Observation {
    answer: RemovalReply,
    edited: Result<(), EditRejection>,
    /// `true` if the explanation sees the user as a member of chat 8773.
    is_member: bool,
    /// The change of owner that the explanation predicts, if every rule holds.
    owner: Option<OwnerChange>,
}

impl Observation {
    fn new(
        answer: RemovalReply,
        edited: Result<(), EditRejection>,
        explanation: &ModelExplanation,
    ) -> Self {
        Self {
            answer,
            edited,
            is_member: explanation.verdicts.contains(&(Rule::Member, ModelVerdict::Holds)),
            owner: explanation.change.map(|change| change.owner),
        }
    }
}

/// Runs a removal while each edit is made, followed by an explanation on another handle, and
/// asserts that the results have a serial order.
///
/// The explanation fixes the order: if it still sees the user as a member, it comes before the
/// removal, so the removal must see the edit.
pub(super) fn assert_serializable_with_edits<H: Harness>(
    cx: &TestContext<H>,
    world: &Snapshot,
    removal: &Removal,
    edits: &[Edit],
) {
    for edit in edits {
        let orders = SerialPosition::ALL.map(|position| serial_run(world, removal, edit, position));
        cx.for_each(world, POINTS, |test_store, point| {
            // The explanation uses a handle of its own: it must not see uncommitted changes.
            let remove =
                |store: ParticipantStore<H>| test_store.remove_with(&store, user(1), removal);
            let (answer, (edited, explanation)) = run_during(test_store, point, remove, || {
                let edited = test_store.try_edit(edit);
                let (observer, request) = (test_store.connect(), in_chat_8773(removal));
                (edited, test_store.explain_comparably(&observer, user(1), &request))
            });
            let actual = Observation::new(answer, edited, &explanation);
            test_store.assert_one_of(&actual, &orders);
        });
    }
}

/// The position of the removal in a serial order of an edit and an explanation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SerialPosition {
    First,
    Between,
    Last,
}

impl SerialPosition {
    const ALL: [Self; 3] = [Self::First, Self::Between, Self::Last];
}

/// Runs the three operations serially on the model. Returns what they observe and the final state.
fn serial_run(
    world: &Snapshot,
    removal: &Removal,
    edit: &Edit,
    position: SerialPosition,
) -> (Observation, Snapshot) {
    let mut model = Model::new(world.clone());
    let mut answer = None;
    let mut remove_at = |model: &mut Model, here: SerialPosition| {
        if position == here {
            answer = Some(model.remove(user(1), removal));
        }
    };
    remove_at(&mut model, SerialPosition::First);
    let edited = model.edit(edit);
    remove_at(&mut model, SerialPosition::Between);
    let explanation = model.explain(user(1), &in_chat_8773(removal));
    remove_at(&mut model, SerialPosition::Last);
    let answer = answer.expect("each position is passed once");
    (Observation::new(Ok(answer), edited, &explanation), model.dump())
}

fn in_chat_8773(removal: &Removal) -> Request {
    Request::from(&removal.in_chat(chat(8773)))
}

/// R11: a refusal and a read-only transaction that saw a revoked right, during a removal that did
/// not: the removal conflicts or came first. Read-only transactions are part of the serial order,
/// which is why they commit.
pub fn r11_refusals_are_serialized_too<H: Harness>(cx: &TestContext<H>) {
    for (revoke, refusal) in revocations() {
        // The two possible orders: the removal before the revocation, or after it.
        let mut model = Model::new(office());
        let _ = model.edit(&revoke);
        let revoked = model.dump();
        let change = change(7, OwnerChange::PassesTo(user(13)));
        let removed = Ok(Ok(Outcome::Removed(change)));
        let orders = [
            ((removed, Some(user(13))), after(&revoked, &change)),
            ((Ok(Err(refusal)), Some(user(7))), revoked),
        ];
        cx.for_each(&office(), POINTS, |test_store, point| {
            let actual = run_during(test_store, point, remove_from_8773(test_store, 7), || {
                test_store.edit(&revoke);
                test_store.assert_answer(user(1), &removal(7), Err(refusal));
                read_owner(test_store)
            });
            test_store.assert_one_of(&actual, &orders);
        });
    }
}

/// Reads the owner of chat 8773 in a read-only transaction on a handle of its own.
fn read_owner<H: Harness>(test_store: &TestStore<'_, H>) -> Option<UserId> {
    let store = test_store.connect();
    let result = test_store.block_on(async {
        let mut tx = store.begin().await?;
        let mut owner = None;
        for member in [7, 13].map(user) {
            let role = tx.role(chat(8773), member).await?;
            owner = owner.or(role.filter(|role| *role == Role::Owner).map(|_| member));
        }
        tx.commit().await.map(|()| owner)
    });
    test_store.record(format!("// the owner as read in a transaction: {result:?}"));
    result.unwrap_or_else(|error| test_store.fail("the owner", error.report()))
}

/// Returns a participant that removes a user from chat 8773.
pub(super) fn remove_from_8773<'s, H: Harness>(
    test_store: &'s TestStore<'_, H>,
    id: i64,
) -> impl FnOnce(ParticipantStore<H>) -> RemovalReply + Send + 's {
    move |store| test_store.remove_with(&store, user(1), &removal(id).in_chat(chat(8773)))
}
