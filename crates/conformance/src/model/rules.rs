//! The rules as a table.

use crm_chat_domain::snapshot::{AccessGrant, Link, RemovalRight};
use crm_chat_domain::{
    Answer, Argument, Change, IfAbsent, Outcome, Refusal, Removal, Rule, Snapshot, UserId,
};

use super::explanation::{ModelExplanation, ModelVerdict};
use super::request::{Evaluation, Field, ParsedRequest};

/// A rule: a predicate, and the answer if it does not hold. Both return `None` if the rule concerns
/// an id or a chat that is not known.
struct RuleRow {
    rule: Rule,
    holds: fn(&Evaluation<'_>) -> Option<bool>,
    otherwise: fn(&Evaluation<'_>) -> Option<Answer>,
}

const TABLE: [RuleRow; 12] = [
    RuleRow {
        rule: Rule::UserId,
        holds: |e| Some(e.user().is_some()),
        otherwise: |_| Some(Err(Refusal::EmptyUser)),
    },
    RuleRow {
        rule: Rule::CrmData,
        holds: |e| Some(e.request.kind != Field::Missing && e.request.id != Field::Missing),
        otherwise: |_| Some(Err(Refusal::EmptyCrmData)),
    },
    RuleRow {
        rule: Rule::EntityId,
        holds: |e| Some(e.request.id.value().is_some()),
        otherwise: |_| Some(Err(Refusal::InvalidArgument(Argument::CrmEntity))),
    },
    RuleRow {
        rule: Rule::ChatId,
        holds: |e| Some(e.request.chat != Field::Invalid),
        otherwise: |_| Some(Err(Refusal::InvalidArgument(Argument::ChatId))),
    },
    RuleRow {
        rule: Rule::EntityKind,
        holds: |e| Some(e.request.kind.value().is_some()),
        otherwise: |_| Some(Err(Refusal::UnknownEntityKind)),
    },
    RuleRow {
        rule: Rule::Messenger,
        holds: |e| Some(e.world.messenger_installed),
        otherwise: |_| Some(Err(Refusal::MessengerNotInstalled)),
    },
    RuleRow {
        rule: Rule::Access,
        holds: |e| {
            let (user, entity) = (e.actor, e.entity()?);
            Some(e.world.access.contains(&AccessGrant { user, entity }))
        },
        otherwise: |e| {
            let (actor, entity) = (e.actor, e.entity()?);
            Some(Err(Refusal::AccessDenied { actor, entity }))
        },
    },
    RuleRow {
        rule: Rule::Chat,
        holds: |e| match e.request.chat {
            Field::Valid(_) => Some(true),
            Field::Invalid => None,
            Field::Missing => e.entity().map(|_| e.chat().is_some()),
        },
        otherwise: |_| Some(Ok(Outcome::NoChat)),
    },
    RuleRow {
        rule: Rule::Link,
        // The last chat is always linked, so the rule holds for it.
        holds: |e| {
            let (entity, chat) = (e.entity()?, e.chat()?);
            Some(e.world.links.contains(&Link { entity, chat }))
        },
        otherwise: |e| {
            let (entity, chat) = (e.entity()?, e.chat()?);
            Some(Err(Refusal::ChatNotInCrm { chat, entity }))
        },
    },
    RuleRow {
        rule: Rule::Permission,
        holds: |e| {
            let (user, _, chat) = (e.actor, e.entity()?, e.chat()?);
            Some(e.world.removers.contains(&RemovalRight { user, chat }))
        },
        otherwise: |e| {
            let (actor, entity, chat) = (e.actor, e.entity()?, e.chat()?);
            Some(Err(Refusal::RemovalDenied { actor, chat, entity }))
        },
    },
    RuleRow {
        rule: Rule::ActiveUser,
        holds: |e| e.user().map(|user| is_active(e.world, user)),
        otherwise: |e| e.user().map(|user| Err(Refusal::UserNotActive { user })),
    },
    RuleRow {
        rule: Rule::Member,
        holds: |e| {
            let (user, chat) = (e.user()?, e.chat()?);
            Some(e.members(chat).any(|member| member == user))
        },
        otherwise: |e| {
            let (user, chat) = (e.user()?, e.chat()?);
            Some(match e.request.if_absent {
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

impl Evaluation<'_> {
    /// Returns the answer to a request whose fields are all valid.
    pub(super) fn answer(&self) -> Answer {
        let answer = self.explain().answer();
        answer.expect(
            "the user and the entity are known, so every rule can be evaluated until one fails",
        )
    }

    pub(super) fn explain(&self) -> ModelExplanation {
        let verdict = |row: &RuleRow| match (row.holds)(self) {
            Some(true) => ModelVerdict::Holds,
            Some(false) => {
                (row.otherwise)(self).map_or(ModelVerdict::CannotBeAsked, ModelVerdict::Fails)
            }
            None => ModelVerdict::CannotBeAsked,
        };
        let all_hold = TABLE.iter().all(|row| (row.holds)(self) == Some(true));
        ModelExplanation {
            verdicts: TABLE.iter().map(|row| (row.rule, verdict(row))).collect(),
            change: if all_hold { self.change() } else { None },
        }
    }

    /// Returns the change of a removal for which every rule holds.
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

/// Parses a request by the rules that look at nothing else.
pub(super) fn parse(request: &ParsedRequest) -> Result<Removal, Refusal> {
    let empty = Snapshot::default();
    let evaluation = Evaluation::new(&empty, UserId::MIN, *request);
    for row in TABLE.iter().filter(|row| row.rule <= Rule::EntityKind) {
        if (row.holds)(&evaluation) != Some(true)
            && let Some(Err(refusal)) = (row.otherwise)(&evaluation)
        {
            return Err(refusal);
        }
    }
    let known = evaluation.entity().zip(evaluation.user());
    let (entity, user) = known.expect("rules 1 to 5 hold, so the user and the entity are known");
    let removal = Removal::new(entity, user).if_absent(request.if_absent);
    Ok(match request.chat.value() {
        Some(chat) => removal.in_chat(chat),
        None => removal,
    })
}
