//! Facts that change while a removal rests on them.

use crm_chat_domain::snapshot::{AccessGrant, EditRejection, Link, RemovalRight, User, UserKind};
use crm_chat_domain::{
    ChatRepo, Edit, Outcome, OwnerChange, Refusal, Removal, Request, Role, Rule, Snapshot, Store,
    UnitOfWork, UserId,
};

use super::meeting::{SideOf, beside, one_of, removing};
use crate::fixtures::{after, change, chat, chat_of, entity, office, removal, user};
use crate::model::{Explained, Model, Verdict};
use crate::{Harness, Lab, Point, Reply, Subject};

/// R4: the actor's right revoked between check and write: serialised before or after, never applied on the stale right.
pub fn r4_right_revoked_in_flight<H: Harness>(lab: &Lab<H>) {
    let edits = rights().map(|(edit, _)| edit);
    changed_in_flight(lab, &office(), &removal(12).in_chat(chat(8773)), &edits);
}

/// What revokes each of the actor's rights, and the refusal that follows.
fn rights() -> [(Edit, Refusal); 2] {
    let (actor, chat, deal) = (user(1), chat(8773), entity("deal:288"));
    let access = AccessGrant { user: actor, entity: deal };
    let no_access = Refusal::AccessDenied { actor, entity: deal };
    let remover = RemovalRight { user: actor, chat };
    let no_right = Refusal::RemovalDenied { actor, chat, entity: deal };
    [(Edit::RevokeAccess(access), no_access), (Edit::RevokeRemoval(remover), no_right)]
}

/// R5: the link deleted, or the user deactivated, between check and write: the same; also the messenger or the chat.
pub fn r5_fact_undone_in_flight<H: Harness>(lab: &Lab<H>) {
    let edits = [
        Edit::Unlink(deal_to(8773)),
        Edit::DeactivateUser { user: user(12) },
        Edit::AddUser(inactive(12)),
        Edit::SetMessenger { installed: false },
        Edit::DeleteChat { chat: chat(8773) },
    ];
    changed_in_flight(lab, &office(), &removal(12).in_chat(chat(8773)), &edits);
}

fn inactive(id: i64) -> User {
    User { id: user(id), active: false, kind: UserKind::Human }
}

/// R5: the last chat's link deleted, or another made the newest, between the question for it and the write: the same.
pub fn r5_last_chat_changed_in_flight<H: Harness>(lab: &Lab<H>) {
    let edits = [Edit::Unlink(deal_to(8773)), Edit::Link(deal_to(9000)), Edit::Link(deal_to(8800))];
    changed_in_flight(lab, &office(), &removal(12), &edits);
}

fn deal_to(id: i64) -> Link {
    Link { entity: entity("deal:288"), chat: chat(id) }
}

/// R3: the owner set or cleared, or a successor who joins, leaves or is deactivated, between check and write: the owner is
/// a member, the one of some serial order.
pub fn r3_succession_changed_in_flight<H: Harness>(lab: &Lab<H>) {
    let chat = chat(8773);
    let owner_set = |id| Edit::SetOwner { chat, user: user(id) };
    let owner_leaves = [
        Edit::Leave { chat, user: user(13) },
        Edit::DeactivateUser { user: user(13) },
        Edit::ActivateUser { user: user(14) },
        Edit::AddUser(User { kind: UserKind::Bot, active: true, ..inactive(13) }),
        Edit::ClearOwner { chat },
        owner_set(13),
    ];
    changed_in_flight(lab, &office(), &removal(7).in_chat(chat), &owner_leaves);
    let member_leaves = [owner_set(12)];
    changed_in_flight(lab, &office(), &removal(12).in_chat(chat), &member_leaves);

    let mut nobody_follows = office();
    chat_of(&mut nobody_follows, chat).members = [20, 7].map(user).to_vec();
    let joins = Edit::Join { chat, user: user(13) };
    changed_in_flight(lab, &nobody_follows, &removal(7).in_chat(chat), &[joins]);
}

/// What came of a removal, of a change beside it, and of a look at chat 8773 after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    answer: Reply,
    edited: Result<(), EditRejection>,
    /// Whether the user is seen a member.
    is_member: bool,
    /// What the user's removal would make of the owner, if every rule holds.
    owner: Option<OwnerChange>,
}

/// Runs a removal while an edit is made, and looks on another handle once it is made. Whoever then sees the user a member
/// comes before the removal, which must see the edit; so it goes for each of the edits.
pub(super) fn changed_in_flight<H: Harness>(
    lab: &Lab<H>,
    world: &Snapshot,
    asked: &Removal,
    edits: &[Edit],
) {
    for edit in edits {
        let orders: Vec<_> = (0..3).map(|place| order(world, asked, edit, place)).collect();
        lab.each(world, [Point::Begun, Point::Write, Point::Commit], |subject, point| {
            let side = |store: SideOf<H>| subject.remove_by(&store, user(1), asked);
            let (answer, (edited, explained)) = beside(subject, point, side, || {
                let edited = subject.try_edit(edit);
                let look = &in_chat_8773(asked);
                (edited, subject.explained(&subject.connect(), user(1), look))
            });
            one_of(subject, &came(answer, edited, &explained), &orders);
        });
    }
}

/// What comes of the edit and then the look, if the removal comes before both, between them, or after.
fn order(world: &Snapshot, asked: &Removal, edit: &Edit, place: usize) -> (Came, Snapshot) {
    let mut model = Model::new(world.clone());
    let mut answer = None;
    let mut removal_comes = |model: &mut Model, now: bool| {
        if now {
            answer = Some(model.remove(user(1), asked));
        }
    };
    removal_comes(&mut model, place == 0);
    let edited = model.edit(edit);
    removal_comes(&mut model, place == 1);
    let explained = model.explain(user(1), &in_chat_8773(asked));
    removal_comes(&mut model, place == 2);
    let answer = answer.expect("the removal has a place");
    (came(Ok(answer), edited, &explained), model.dump())
}

fn came(answer: Reply, edited: Result<(), EditRejection>, explained: &Explained) -> Came {
    let holds = &(Rule::Member, Verdict::Holds);
    Came {
        answer,
        edited,
        is_member: explained.verdicts.contains(holds),
        owner: explained.change.map(|change| change.owner),
    }
}

fn in_chat_8773(asked: &Removal) -> Request {
    Request::from(&asked.in_chat(chat(8773)))
}

/// R11: a refusal, and an explanation, that saw a revoked right, beside a removal that did not: the removal conflicts or
/// came first. Who only reads is part of the order, so it commits too.
pub fn r11_refusal_commits_too<H: Harness>(lab: &Lab<H>) {
    for (revoke, refusal) in rights() {
        let mut model = Model::new(office());
        let _ = model.edit(&revoke);
        let revoked = model.dump();
        let owner = OwnerChange::PassesTo(user(13));
        let removed = Outcome::Removed(change(7, owner));
        let orders = [
            ((Ok(Ok(removed)), Some(user(13))), after(&revoked, &change(7, owner))),
            ((Ok(Err(refusal)), Some(user(7))), revoked),
        ];
        lab.each(&office(), [Point::Begun, Point::Write, Point::Commit], |subject, point| {
            let came = beside(subject, point, removing(subject, 7), || {
                subject.edit(&revoke);
                subject.answers(user(1), &removal(7), Err(refusal));
                owner_seen(subject)
            });
            one_of(subject, &came, &orders);
        });
    }
}

/// Who owns chat 8773, as a transaction of reads on a handle of its own sees it.
fn owner_seen<H: Harness>(subject: &Subject<'_, H>) -> Option<UserId> {
    let store = subject.connect();
    let seen = subject.block_on(async {
        let mut tx = store.begin().await?;
        let mut owner = None;
        for member in [7, 13].map(user) {
            let role = tx.role(chat(8773), member).await?;
            owner = owner.or(role.filter(|role| *role == Role::Owner).map(|_| member));
        }
        tx.commit().await.map(|()| owner)
    });
    subject.note(format!("// the owner is seen to be {seen:?}"));
    seen.unwrap_or_else(|error| subject.fail("the owner", error.report()))
}
