//! An explanation as JSON. The form is part of the program's interface.

use crm_chat_domain::{
    Change, ChatId, Entity, Explanation, Outcome, OwnerChange, Rule, UserId, Verdict,
};
use serde::Serialize;

use super::text::verdict_word;
use crate::reply::Reply;

/// The object that `explain --json` prints.
#[derive(Serialize)]
pub(super) struct ExplanationJson {
    rules: Vec<RuleJson>,
    deciding: Option<u8>,
    answer: Option<Reply>,
    change: Option<ChangeJson>,
}

#[derive(Serialize)]
struct RuleJson {
    rule: u8,
    statement: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_error: Option<String>,
}

#[derive(Serialize)]
struct ChangeJson {
    chat: ChatId,
    user: UserId,
    actor: UserId,
    entity: Entity,
    owner: &'static str,
    new_owner: Option<UserId>,
}

impl From<&Explanation> for ExplanationJson {
    fn from(explanation: &Explanation) -> Self {
        let deciding = explanation.deciding();
        let removed = explanation.change().copied().map(Outcome::Removed);
        // If no rule decides, all of them hold, and the change is the answer.
        let answer = deciding.map(|(_, answer)| answer).or(removed.map(Ok));
        Self {
            rules: explanation.verdicts().iter().map(RuleJson::from).collect(),
            deciding: deciding.map(|(rule, _)| rule.number()),
            answer: answer.map(Reply::from),
            change: explanation.change().map(ChangeJson::from),
        }
    }
}

impl From<&(Rule, Verdict)> for RuleJson {
    fn from((rule, verdict): &(Rule, Verdict)) -> Self {
        let (answer, store_error) = match verdict {
            Verdict::Fails(answer) => (Some(Reply::from(*answer)), None),
            Verdict::Unknown(error) => (None, Some(error.report())),
            Verdict::Holds | Verdict::CannotBeAsked => (None, None),
        };
        Self {
            rule: rule.number(),
            statement: rule.statement(),
            verdict: verdict_word(verdict),
            answer,
            store_error,
        }
    }
}

impl From<&Change> for ChangeJson {
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
