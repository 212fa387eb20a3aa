//! An explanation as a table, 80 columns wide.

use std::io::{self, Write};

use crm_chat_domain::{Answer, Change, Explanation, Outcome, OwnerChange, Rule, Verdict};

use crate::console::wrap;

/// The column at which a rule's statement begins.
const MARGIN: usize = 22;
/// The width of a rule's statement. `demo` indents a line by two columns, which makes 80.
const WIDTH: usize = 56;

/// Prints a row for each rule, then the conclusion.
pub(super) fn print(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let deciding = explanation.deciding();
    for (rule, verdict) in explanation.verdicts() {
        let decides = deciding.is_some_and(|(deciding, _)| deciding == *rule);
        print_row(*rule, verdict, decides, out)?;
    }
    let conclusion = match (explanation.change(), deciding) {
        (Some(change), _) => describe_change(change),
        (None, Some((rule, answer))) => describe_no_change(rule, answer),
        (None, None) => return Ok(()),
    };
    writeln!(out)?;
    for line in wrap(&conclusion, MARGIN + WIDTH) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_row(rule: Rule, verdict: &Verdict, decides: bool, out: &mut dyn Write) -> io::Result<()> {
    let mark = if decides { '>' } else { ' ' };
    let (number, word, statement) = (rule.number(), verdict_word(verdict), rule.statement());
    writeln!(out, "{mark}{number:>3}  {word:<15} {statement}")?;
    let detail = match verdict {
        Verdict::Fails(Err(refusal)) => refusal.to_string(),
        Verdict::Unknown(error) => error.report(),
        Verdict::Fails(Ok(_)) | Verdict::Holds | Verdict::CannotBeAsked => return Ok(()),
    };
    for line in wrap(&detail, WIDTH - 2) {
        writeln!(out, "{:MARGIN$}  {line}", "")?;
    }
    Ok(())
}

/// Returns the name of a verdict, which the JSON output uses too.
pub(super) fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails(_) => "fails",
        Verdict::CannotBeAsked => "cannot be asked",
        Verdict::Unknown(_) => "unknown",
    }
}

/// Describes what `remove` would change.
fn describe_change(change: &Change) -> String {
    let Change { chat, user, .. } = change;
    let owner = match change.owner {
        OwnerChange::Unchanged => "its owner would not change".to_owned(),
        OwnerChange::PassesTo(owner) => format!("user {owner} would become its owner"),
        OwnerChange::Vacant => "it would have no owner".to_owned(),
    };
    format!("`remove` would remove user {user} from chat {chat}; {owner}")
}

/// Describes why `remove` would change nothing.
fn describe_no_change(rule: Rule, answer: Answer) -> String {
    let reason = match answer {
        Err(refusal) => {
            format!(": rule {} refuses the removal with {}", rule.number(), refusal.code())
        }
        Ok(Outcome::NoChat) => " and answer 0: the entity has no chat".to_owned(),
        Ok(outcome) => {
            format!(" and answer {}: the user is not a member", outcome.result())
        }
    };
    format!("`remove` would change nothing{reason}")
}
