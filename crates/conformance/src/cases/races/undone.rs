//! Facts that are undone while a removal rests on them.

use crm_chat_domain::{
    Access, ChatRepo, Edit, Link, OwnerChange, Refusal, Remover, Request, Role, Rule, Snapshot,
    Store, UnitOfWork, UserId, Verdict,
};

use super::made;
use super::meeting::{beside, one_of, removing};
use crate::fixtures::{after, change, chat, entity, office, removal, user, user_of};
use crate::{Harness, Lab, Point, Subject};

/// R4: the actor's right revoked between check and write: serialised before or after, never applied on the stale right.
pub fn r4_right_revoked_in_flight<H: Harness>(lab: &Lab<H>) {
    let (actor, deal) = (user(1), entity("deal:288"));
    let access = Access {
        user: actor,
        entity: deal,
    };
    let remover = Remover {
        user: actor,
        chat: chat(8773),
    };
    let no_access = Refusal::AccessDenied {
        actor,
        entity: deal,
    };
    let no_right = Refusal::RemovalDenied {
        actor,
        chat: chat(8773),
        entity: deal,
    };
    undone_in_flight(lab, &Edit::RevokeAccess(access), no_access, |world| {
        world.access.retain(|had| *had != access);
    });
    undone_in_flight(lab, &Edit::RevokeRemoval(remover), no_right, |world| {
        world.removers.retain(|had| *had != remover);
    });
}

/// R5: the link deleted, or the user deactivated, between check and write: the same.
pub fn r5_fact_undone_in_flight<H: Harness>(lab: &Lab<H>) {
    let link = Link {
        entity: entity("deal:288"),
        chat: chat(8773),
    };
    let unlinked = Refusal::ChatNotInCrm {
        chat: link.chat,
        entity: link.entity,
    };
    undone_in_flight(lab, &Edit::Unlink(link), unlinked, |world| {
        world.links.retain(|made| *made != link);
    });
    let inactive = Refusal::UserNotActive { user: user(12) };
    undone_in_flight(
        lab,
        &Edit::DeactivateUser { user: user(12) },
        inactive,
        |world| {
            user_of(world, user(12)).active = false;
        },
    );
    let uninstalled = Edit::SetMessenger { installed: false };
    undone_in_flight(lab, &uninstalled, Refusal::MessengerNotInstalled, |world| {
        world.messenger_installed = false;
    });
}

/// A removal runs while `edit` undoes a fact that it rests on. Whoever looks after the edit sees the user gone, or a
/// member who stays: the removal comes before the edit, or is refused.
fn undone_in_flight<H: Harness>(
    lab: &Lab<H>,
    edit: &Edit,
    refusal: Refusal,
    undo: impl Fn(&mut Snapshot),
) {
    let undone = |mut world: Snapshot| {
        undo(&mut world);
        world
    };
    let owner = OwnerChange::Unchanged;
    let orders = [
        (
            (made(12, owner), false),
            undone(after(&office(), &change(12, owner))),
        ),
        ((Ok(Err(refusal)), true), undone(office())),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Commit],
        |subject, point| {
            let came = beside(subject, point, removing(subject, 12), || {
                subject.edit(edit);
                is_seen_a_member(subject)
            });
            one_of(subject, &came, &orders);
        },
    );
}

/// Whether user 12 is a member of chat 8773, as an explanation on another handle sees it.
fn is_seen_a_member<H: Harness>(subject: &Subject<'_, H>) -> bool {
    let request = Request::from(&removal(12).in_chat(chat(8773)));
    let explanation = subject.explain(&subject.connect(), user(1), &request);
    let mut verdicts = explanation.verdicts().iter();
    let holds =
        verdicts.any(|(rule, verdict)| *rule == Rule::Member && matches!(verdict, Verdict::Holds));
    subject.note(format!("// user 12 is seen a member: {holds}"));
    holds
}

/// R11: a refusal, and an explanation, that saw a revoked right, beside a removal that did not: the removal conflicts or
/// came first. Who only reads is part of the order, so it commits too.
pub fn r11_refusal_commits_too<H: Harness>(lab: &Lab<H>) {
    let (actor, deal) = (user(1), entity("deal:288"));
    let access = Access {
        user: actor,
        entity: deal,
    };
    let no_access = Refusal::AccessDenied {
        actor,
        entity: deal,
    };
    let mut revoked = office();
    revoked.access.retain(|had| *had != access);
    let owner = OwnerChange::PassesTo(user(13));
    let orders = [
        (
            (made(7, owner), Some(user(13))),
            after(&revoked, &change(7, owner)),
        ),
        ((Ok(Err(no_access)), Some(user(7))), revoked),
    ];
    lab.each(
        &office(),
        [Point::Begun, Point::Write, Point::Commit],
        |subject, point| {
            let came = beside(subject, point, removing(subject, 7), || {
                subject.edit(&Edit::RevokeAccess(access));
                subject.answers(actor, &removal(7), Err(no_access));
                owner_seen(subject)
            });
            one_of(subject, &came, &orders);
        },
    );
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
