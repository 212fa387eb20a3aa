//! Explanations in a form that can be compared.

use crm_chat_domain::{Answer, Change, Explanation, Outcome, Rule, StoreError};

/// The verdict on one rule, as the model gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelVerdict {
    /// The rule holds.
    Holds,
    /// The rule fails. This is the answer if it decides.
    Fails(Answer),
    /// The rule concerns an id or a chat that is not known.
    CannotBeAsked,
}

/// An [`Explanation`] as the model gives it: comparable, and without storage failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelExplanation {
    /// Every rule with its verdict, in the order of the rules.
    pub verdicts: Vec<(Rule, ModelVerdict)>,
    /// The change that the removal would make; `None` if a rule fails or cannot be evaluated.
    pub change: Option<Change>,
}

impl ModelExplanation {
    /// Returns the answer that the explanation predicts for the removal: that of the first rule
    /// that fails, otherwise that the change is made.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        let failing = self.verdicts.iter().find_map(|(_, verdict)| match verdict {
            ModelVerdict::Fails(answer) => Some(*answer),
            ModelVerdict::Holds | ModelVerdict::CannotBeAsked => None,
        });
        let change = || self.change.map(|change| Ok(Outcome::Removed(change)));
        failing.or_else(change)
    }
}

/// Converts the explanation of a store.
///
/// # Errors
/// The [`StoreError`] of the first rule that is unknown because the storage failed.
impl TryFrom<&Explanation> for ModelExplanation {
    type Error = StoreError;

    fn try_from(explanation: &Explanation) -> Result<Self, StoreError> {
        use crm_chat_domain::Verdict;

        let verdicts = explanation.verdicts().iter();
        let verdict = |(rule, verdict): &(Rule, Verdict)| {
            Ok((
                *rule,
                match verdict {
                    Verdict::Holds => ModelVerdict::Holds,
                    Verdict::Fails(answer) => ModelVerdict::Fails(*answer),
                    Verdict::CannotBeAsked => ModelVerdict::CannotBeAsked,
                    Verdict::Unknown(error) => return Err(error.clone()),
                },
            ))
        };
        Ok(Self {
            verdicts: verdicts.map(verdict).collect::<Result<_, StoreError>>()?,
            change: explanation.change().copied(),
        })
    }
}
