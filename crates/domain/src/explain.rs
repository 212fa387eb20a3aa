//! Why a removal would be answered as it would.

use crate::rules::{self, Stop};
use crate::transact::{Work, transact_read};
use crate::{Answer, Change, Entity, Request, Rule, Store, StoreError, Transaction, UserId};

/// What became of one rule in an [`Explanation`].
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The rule holds.
    Holds,
    /// The rule fails. This is what the removal would answer if the rule decided: mostly its refusal.
    Fails(Answer),
    /// The rule's question needs an id or a chat that an earlier rule did not yield.
    CannotBeAsked,
    /// The storage failed at the rule's question, after the rule that decides.
    Unknown(StoreError),
}

/// For every rule, whether it holds, and what the removal would change now.
///
/// It shows facts that the actor may not see: a tool for operators, not to be served to callers.
#[derive(Clone, Debug)]
pub struct Explanation {
    verdicts: Vec<(Rule, Verdict)>,
    change: Option<Change>,
}

impl Explanation {
    /// Returns every rule with its verdict, in the rules' order.
    #[must_use]
    pub fn verdicts(&self) -> &[(Rule, Verdict)] {
        &self.verdicts
    }

    /// Returns the rule that decides, which is the first that fails, and the removal's answer; `None` if all rules
    /// hold.
    #[must_use]
    pub fn deciding(&self) -> Option<(Rule, Answer)> {
        self.verdicts.iter().find_map(|(rule, verdict)| match verdict {
            Verdict::Fails(answer) => Some((*rule, *answer)),
            _ => None,
        })
    }

    /// Returns what the removal would change now; `None` if a rule fails.
    #[must_use]
    pub const fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }
}

/// Explains what [`remove_user`](crate::remove_user) would answer to `request` now, and changes nothing.
///
/// All twelve rules are looked at, those after the deciding one too, as far as their questions can be asked. Its
/// [read transaction](Store::begin_read) is committed before the explanation is returned.
///
/// # Errors
/// [`StoreError`] if the storage failed at a question up to the one that decides, or at beginning or ending the
/// transaction. A failure after the deciding rule is a [`Verdict::Unknown`].
pub async fn explain<S: Store>(
    store: &S,
    actor: UserId,
    request: &Request,
) -> Result<Explanation, StoreError> {
    transact_read(store, &Explain { actor, request }).await
}

struct Explain<'a> {
    actor: UserId,
    request: &'a Request,
}

impl<T: Transaction> Work<T> for Explain<'_> {
    type Output = Explanation;

    async fn run(&self, tx: &mut T) -> Result<Explanation, StoreError> {
        let &Self { actor, request } = self;
        if let Ok(removal) = request.parse() {
            tx.announce(actor, &removal).await;
        }
        let mut sheet = Sheet::default();

        let user = sheet.note(Rule::UserId, rules::request::user_id(request))?;
        sheet.note(Rule::CrmData, rules::request::crm_data(request))?;
        let id = sheet.note(Rule::EntityId, rules::request::crm_entity(request))?;
        let given = sheet.note(Rule::ChatId, rules::request::chat_id(request))?;
        let kind = sheet.note(Rule::EntityKind, rules::request::crm_entity_type(request))?;
        let entity = kind.zip(id).map(|(kind, id)| Entity { kind, id });

        sheet.note(Rule::Messenger, rules::messenger(tx).await)?;
        match entity {
            Some(entity) => sheet.note(Rule::Access, rules::access(tx, actor, entity).await)?,
            None => sheet.skip(Rule::Access),
        };
        let chat = match (given, entity) {
            (Some(Some(given)), _) => sheet.note(Rule::Chat, Ok::<_, Stop>(given))?,
            (Some(None), Some(entity)) => {
                sheet.note(Rule::Chat, rules::last_chat(tx, entity).await)?
            }
            _ => sheet.skip(Rule::Chat),
        };
        match (given, chat, entity) {
            // The last chat is linked: rule 9 is not asked.
            (Some(None), Some(_), _) => sheet.note(Rule::Link, Ok::<_, Stop>(()))?,
            (_, Some(chat), Some(entity)) => {
                sheet.note(Rule::Link, rules::link(tx, chat, entity).await)?
            }
            _ => sheet.skip(Rule::Link),
        };
        match (chat, entity) {
            (Some(chat), Some(entity)) => {
                let permission = rules::permission(tx, actor, chat, entity).await;
                sheet.note(Rule::Permission, permission)?
            }
            _ => sheet.skip(Rule::Permission),
        };
        match user {
            Some(user) => sheet.note(Rule::ActiveUser, rules::active_user(tx, user).await)?,
            None => sheet.skip(Rule::ActiveUser),
        };
        let role = match (chat, user) {
            (Some(chat), Some(user)) => {
                let member = rules::member(tx, chat, user, request.if_absent).await;
                sheet.note(Rule::Member, member)?
            }
            _ => sheet.skip(Rule::Member),
        };

        let change = match (sheet.decided, chat, user, entity, role) {
            (false, Some(chat), Some(user), Some(entity), Some(role)) => Some(Change {
                chat,
                user,
                actor,
                entity,
                owner: rules::owner_change(tx, chat, user, role).await?,
            }),
            _ => None,
        };
        Ok(Explanation { verdicts: sheet.verdicts, change })
    }
}

/// The verdicts so far.
#[derive(Default)]
struct Sheet {
    verdicts: Vec<(Rule, Verdict)>,
    decided: bool,
}

impl Sheet {
    /// Notes what came of a rule, and returns what it yielded.
    ///
    /// # Errors
    /// The storage failure, if no rule has decided yet.
    fn note<T>(
        &mut self,
        rule: Rule,
        result: Result<T, impl Into<Stop>>,
    ) -> Result<Option<T>, StoreError> {
        let (verdict, yielded) = match result.map_err(Into::into) {
            Ok(value) => (Verdict::Holds, Some(value)),
            Err(Stop::Decided(answer)) => (Verdict::Fails(answer), None),
            Err(Stop::Failed(error)) if self.decided => (Verdict::Unknown(error), None),
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.decided |= matches!(verdict, Verdict::Fails(_));
        self.verdicts.push((rule, verdict));
        Ok(yielded)
    }

    /// Notes that a rule cannot be asked.
    fn skip<T>(&mut self, rule: Rule) -> Option<T> {
        self.verdicts.push((rule, Verdict::CannotBeAsked));
        None
    }
}
