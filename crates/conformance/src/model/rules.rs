//! The table of the rules.

use crm_chat_domain::snapshot::{AccessGrant, Link, RemovalRight};
use crm_chat_domain::{
    Answer, Argument, Change, IfAbsent, Outcome, Refusal, Removal, Rule, Snapshot, UserId,
};

use super::explained::{Explained, Verdict};
use super::question::{Asked, Field, Question};

/// One rule: whether it holds, and the answer if it does not. `None` says that an id or the chat it speaks of is not known.
struct Row {
    rule: Rule,
    holds: fn(&Question<'_>) -> Option<bool>,
    otherwise: fn(&Question<'_>) -> Option<Answer>,
}

const TABLE: [Row; 12] = [
    Row {
        rule: Rule::UserId,
        holds: |q| Some(q.user().is_some()),
        otherwise: |_| Some(Err(Refusal::EmptyUser)),
    },
    Row {
        rule: Rule::CrmData,
        holds: |q| Some(q.asked.kind != Field::Absent && q.asked.id != Field::Absent),
        otherwise: |_| Some(Err(Refusal::EmptyCrmData)),
    },
    Row {
        rule: Rule::EntityId,
        holds: |q| Some(q.asked.id.value().is_some()),
        otherwise: |_| Some(Err(Refusal::InvalidArgument(Argument::CrmEntity))),
    },
    Row {
        rule: Rule::ChatId,
        holds: |q| Some(q.asked.chat != Field::Odd),
        otherwise: |_| Some(Err(Refusal::InvalidArgument(Argument::ChatId))),
    },
    Row {
        rule: Rule::EntityKind,
        holds: |q| Some(q.asked.kind.value().is_some()),
        otherwise: |_| Some(Err(Refusal::UnknownEntityKind)),
    },
    Row {
        rule: Rule::Messenger,
        holds: |q| Some(q.world.messenger_installed),
        otherwise: |_| Some(Err(Refusal::MessengerNotInstalled)),
    },
    Row {
        rule: Rule::Access,
        holds: |q| {
            let (user, entity) = (q.actor, q.entity()?);
            Some(q.world.access.contains(&AccessGrant { user, entity }))
        },
        otherwise: |q| {
            let (actor, entity) = (q.actor, q.entity()?);
            Some(Err(Refusal::AccessDenied { actor, entity }))
        },
    },
    Row {
        rule: Rule::Chat,
        holds: |q| match q.asked.chat {
            Field::Is(_) => Some(true),
            Field::Odd => None,
            Field::Absent => q.entity().map(|_| q.chat().is_some()),
        },
        otherwise: |_| Some(Ok(Outcome::NoChat)),
    },
    Row {
        rule: Rule::Link,
        // The last chat is one that is linked, whoever asks.
        holds: |q| {
            let (entity, chat) = (q.entity()?, q.chat()?);
            Some(q.world.links.contains(&Link { entity, chat }))
        },
        otherwise: |q| {
            let (entity, chat) = (q.entity()?, q.chat()?);
            Some(Err(Refusal::ChatNotInCrm { chat, entity }))
        },
    },
    Row {
        rule: Rule::Permission,
        holds: |q| {
            let (user, _, chat) = (q.actor, q.entity()?, q.chat()?);
            Some(q.world.removers.contains(&RemovalRight { user, chat }))
        },
        otherwise: |q| {
            let (actor, entity, chat) = (q.actor, q.entity()?, q.chat()?);
            Some(Err(Refusal::RemovalDenied { actor, chat, entity }))
        },
    },
    Row {
        rule: Rule::ActiveUser,
        holds: |q| q.user().map(|user| is_active(q.world, user)),
        otherwise: |q| q.user().map(|user| Err(Refusal::UserNotActive { user })),
    },
    Row {
        rule: Rule::Member,
        holds: |q| {
            let (user, chat) = (q.user()?, q.chat()?);
            Some(q.members(chat).any(|member| member == user))
        },
        otherwise: |q| {
            let (user, chat) = (q.user()?, q.chat()?);
            Some(match q.asked.if_absent {
                IfAbsent::Refuse => Err(Refusal::NotAMember { user, chat }),
                IfAbsent::Accept => Ok(Outcome::AlreadyAbsent { chat }),
            })
        },
    },
];

fn is_active(world: &Snapshot, user: UserId) -> bool {
    let mut users = world.users.iter();
    users.any(|known| known.id == user && known.active)
}

impl Question<'_> {
    /// What must be answered to a request that can be read.
    pub(super) fn answer(&self) -> Answer {
        let answer = self.explain().answer();
        answer
            .expect("the user and the entity are known, so every rule can be asked until one fails")
    }

    pub(super) fn explain(&self) -> Explained {
        let verdict = |row: &Row| match (row.holds)(self) {
            Some(true) => Verdict::Holds,
            Some(false) => (row.otherwise)(self).map_or(Verdict::CannotBeAsked, Verdict::Fails),
            None => Verdict::CannotBeAsked,
        };
        let all_hold = TABLE.iter().all(|row| (row.holds)(self) == Some(true));
        Explained {
            verdicts: TABLE.iter().map(|row| (row.rule, verdict(row))).collect(),
            change: if all_hold { self.change() } else { None },
        }
    }

    /// What a removal changes if every rule holds.
    fn change(&self) -> Option<Change> {
        let (chat, user) = (self.chat()?, self.user()?);
        Some(Change {
            chat,
            user,
            actor: self.actor,
            entity: self.entity()?,
            owner: self.owner_change(chat, user),
        })
    }
}

/// Reads a request by the rules that look at nothing else.
pub(super) fn parse(asked: &Asked) -> Result<Removal, Refusal> {
    let nothing = Snapshot::default();
    let question = Question::new(&nothing, UserId::MIN, *asked);
    for row in TABLE.iter().filter(|row| row.rule <= Rule::EntityKind) {
        if (row.holds)(&question) != Some(true)
            && let Some(Err(refusal)) = (row.otherwise)(&question)
        {
            return Err(refusal);
        }
    }
    let known = question.entity().zip(question.user());
    let (entity, user) = known.expect("rules 1 to 5 hold, so the user and the entity are known");
    let removal = Removal::new(entity, user).if_absent(asked.if_absent);
    Ok(match asked.chat.value() {
        Some(chat) => removal.in_chat(chat),
        None => removal,
    })
}
