//! An explanation as a table, 80 columns wide.

use std::io::{self, Write};

use crm_chat_domain::{Answer, Change, Explanation, Outcome, OwnerChange, Rule, Verdict};

use crate::console::wrap;

/// Where a rule's statement begins.
const MARGIN: usize = 22;
/// The longest statement: with it, a line and the indentation of the demo fit 80 columns.
const WIDTH: usize = 56;

pub(super) fn print(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let deciding = explanation.deciding();
    for (rule, found) in explanation.verdicts() {
        let decides = deciding.is_some_and(|(deciding, _)| deciding == *rule);
        row(*rule, found, decides, out)?;
    }
    let conclusion = match (explanation.change(), deciding) {
        (Some(change), _) => changes(change),
        (None, Some((rule, answer))) => stops(rule, answer),
        (None, None) => return Ok(()),
    };
    writeln!(out)?;
    for line in wrap(&conclusion, MARGIN + WIDTH) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn row(rule: Rule, found: &Verdict, decides: bool, out: &mut dyn Write) -> io::Result<()> {
    let mark = if decides { '>' } else { ' ' };
    let (number, verdict, statement) = (rule.number(), verdict(found), rule.statement());
    writeln!(out, "{mark}{number:>3}  {verdict:<15} {statement}")?;
    let detail = match found {
        Verdict::Fails(Err(refusal)) => refusal.to_string(),
        Verdict::Unknown(error) => error.report(),
        Verdict::Fails(Ok(_)) | Verdict::Holds | Verdict::CannotBeAsked => return Ok(()),
    };
    for line in wrap(&detail, WIDTH - 2) {
        writeln!(out, "{:MARGIN$}  {line}", "")?;
    }
    Ok(())
}

pub(super) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails(_) => "fails",
        Verdict::CannotBeAsked => "cannot be asked",
        Verdict::Unknown(_) => "unknown",
    }
}

/// Says what `remove` would change now.
fn changes(change: &Change) -> String {
    let Change { chat, user, .. } = change;
    let owner = match change.owner {
        OwnerChange::Unchanged => "its owner stays".to_owned(),
        OwnerChange::PassesTo(owner) => format!("user {owner} would own it next"),
        OwnerChange::Vacant => "it would have no owner".to_owned(),
    };
    format!("now, `remove` would take user {user} out of chat {chat}; {owner}")
}

/// Says why `remove` would change nothing now.
fn stops(rule: Rule, answer: Answer) -> String {
    let number = rule.number();
    match answer {
        Err(refusal) => format!(
            "now, `remove` would change nothing: rule {number} refuses it with {}",
            refusal.code()
        ),
        Ok(Outcome::NoChat) => {
            "now, `remove` would change nothing and answer 0: the entity has no chat".to_owned()
        }
        Ok(outcome) => format!(
            "now, `remove` would change nothing and answer {}: the user is not a member",
            outcome.result()
        ),
    }
}
