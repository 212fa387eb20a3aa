//! An explanation as JSON. Its form is part of the program's interface.

use crm_chat_domain::{
    Change, ChatId, Entity, Explanation, Outcome, OwnerChange, Rule, UserId, Verdict,
};
use serde::Serialize;

use super::text::verdict;
use crate::reply::Reply;

#[derive(Serialize)]
pub(super) struct Explained {
    rules: Vec<Row>,
    deciding: Option<u8>,
    answer: Option<Reply>,
    change: Option<Changed>,
}

#[derive(Serialize)]
struct Row {
    rule: u8,
    statement: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_error: Option<String>,
}

#[derive(Serialize)]
struct Changed {
    chat: ChatId,
    user: UserId,
    actor: UserId,
    entity: Entity,
    owner: &'static str,
    new_owner: Option<UserId>,
}

impl From<&Explanation> for Explained {
    fn from(explanation: &Explanation) -> Self {
        let deciding = explanation.deciding();
        let removed = explanation.change().copied().map(Outcome::Removed);
        let answer = deciding.map(|(_, answer)| answer).or(removed.map(Ok));
        Self {
            rules: explanation.verdicts().iter().map(Row::from).collect(),
            deciding: deciding.map(|(rule, _)| rule.number()),
            answer: answer.map(Reply::from),
            change: explanation.change().map(Changed::from),
        }
    }
}

impl From<&(Rule, Verdict)> for Row {
    fn from((rule, found): &(Rule, Verdict)) -> Self {
        let (answer, store_error) = match found {
            Verdict::Fails(answer) => (Some(Reply::from(*answer)), None),
            Verdict::Unknown(error) => (None, Some(error.report())),
            Verdict::Holds | Verdict::CannotBeAsked => (None, None),
        };
        Self {
            rule: rule.number(),
            statement: rule.statement(),
            verdict: verdict(found),
            answer,
            store_error,
        }
    }
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        Self {
            chat: change.chat,
            user: change.user,
            actor: change.actor,
            entity: change.entity,
            owner: match change.owner {
                OwnerChange::Unchanged => "unchanged",
                OwnerChange::PassesTo(_) => "passes",
                OwnerChange::Vacant => "vacant",
            },
            new_owner: change.new_owner(),
        }
    }
}
