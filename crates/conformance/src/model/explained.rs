//! Explanations that can be compared.

use crm_chat_domain::{Answer, Change, Explanation, Outcome, Rule, StoreError};

/// What becomes of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The rule holds.
    Holds,
    /// The rule fails; this is the answer if it decides.
    Fails(Answer),
    /// An id or the chat that the rule speaks of is not known.
    CannotBeAsked,
}

/// An [`Explanation`] as the model gives it: one that can be compared, and in which no storage fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Explained {
    /// Every rule with its verdict, in the rules' order.
    pub verdicts: Vec<(Rule, Verdict)>,
    /// What the removal would change; `None` if a rule fails or cannot be asked.
    pub change: Option<Change>,
}

impl Explained {
    /// Returns the answer that the explanation predicts for the removal: that of the first rule that fails, else that
    /// the change was made.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        let failing = self.verdicts.iter().find_map(|(_, verdict)| match verdict {
            Verdict::Fails(answer) => Some(*answer),
            Verdict::Holds | Verdict::CannotBeAsked => None,
        });
        let change = || self.change.map(|change| Ok(Outcome::Removed(change)));
        failing.or_else(change)
    }
}

/// Takes over what a store explained.
///
/// # Errors
/// The [`StoreError`] of the first rule that is unknown because the storage failed.
impl TryFrom<&Explanation> for Explained {
    type Error = StoreError;

    fn try_from(explanation: &Explanation) -> Result<Self, StoreError> {
        use crm_chat_domain::Verdict as Theirs;

        let verdicts = explanation.verdicts().iter();
        let verdict = |(rule, verdict): &(Rule, Theirs)| {
            Ok((
                *rule,
                match verdict {
                    Theirs::Holds => Verdict::Holds,
                    Theirs::Fails(answer) => Verdict::Fails(*answer),
                    Theirs::CannotBeAsked => Verdict::CannotBeAsked,
                    Theirs::Unknown(error) => return Err(error.clone()),
                },
            ))
        };
        Ok(Self {
            verdicts: verdicts.map(verdict).collect::<Result<_, StoreError>>()?,
            change: explanation.change().copied(),
        })
    }
}
