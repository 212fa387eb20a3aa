//! Explanations: the verdict of every rule, and the change that a removal would make now.

use std::future::Future;

use crate::rules::{self, EarlyExit};
use crate::transact::{Work, transact_read};
use crate::{
    Answer, Change, ChatId, Entity, Request, Role, Rule, Store, StoreError, Transaction, UserId,
};

/// The verdict on one rule in an [`Explanation`].
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The rule holds.
    Holds,
    /// The rule fails. The answer is the one that the removal would get if this rule decided: a
    /// refusal, except for rule 8 and for a user whose absence is accepted.
    Fails(Answer),
    /// The rule's question needs an id or a chat that an earlier rule did not yield.
    CannotBeAsked,
    /// The storage failed at the rule's question, after the rule that decides.
    Unknown(StoreError),
}

/// The verdict on every rule, and the change that the removal would make now.
///
/// It reveals facts that the actor may not see. Show it to operators, never to callers.
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

    /// Returns the rule that decides, which is the first that fails, with the removal's answer, or
    /// `None` if all rules hold.
    #[must_use]
    pub fn deciding(&self) -> Option<(Rule, Answer)> {
        self.verdicts.iter().find_map(|(rule, verdict)| match verdict {
            Verdict::Fails(answer) => Some((*rule, *answer)),
            _ => None,
        })
    }

    /// Returns the change that the removal would make now, or `None` if a rule fails.
    #[must_use]
    pub const fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }
}

/// Explains the answer that [`remove_user`](crate::remove_user) would give to `request` now, and
/// changes nothing.
///
/// All twelve rules are checked, those after the deciding one too, as far as their questions can be
/// asked. The [read transaction](Store::begin_read) is committed before the explanation is
/// returned.
///
/// ```
/// use crm_chat_domain::{Request, Rule, explain};
///
/// # futures_lite::future::block_on(async {
/// let store = crm_chat_memory::Memory::new();
/// let request = Request { user_id: 12.into(), ..Request::default() };
/// let explanation = explain(&store, 1.try_into()?, &request).await?;
///
/// let (rule, answer) = explanation.deciding().unwrap();
/// assert_eq!(rule, Rule::CrmData); // rule 1 holds, rule 2 fails
/// assert_eq!(answer.unwrap_err().code(), "CRM_CHAT_EMPTY_CRM_DATA");
/// assert_eq!(explanation.verdicts().len(), 12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`StoreError`] if the storage failed at a question up to the deciding one, or at the beginning
/// or the end of the transaction. A failure after the deciding rule is a [`Verdict::Unknown`].
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
        // Without a typed removal there is nothing to fetch ahead; the rules that can be asked are
        // asked one by one.
        if let Ok(removal) = self.request.parse() {
            tx.prefetch(self.actor, &removal).await;
        }
        let mut report = Report::default();
        let fields = self.check_request(&mut report)?;
        let chat = self.check_chat(tx, &mut report, &fields).await?;
        let role = self.check_user(tx, &mut report, &fields, chat).await?;

        // As in a removal, the successor is asked for only if every rule holds.
        let change = match (report.decided, chat, fields.user, fields.entity, role) {
            (false, Some(chat), Some(user), Some(entity), Some(role)) => {
                let owner = rules::storage::owner_change(tx, chat, user, role).await?;
                Some(Change { chat, user, actor: self.actor, entity, owner })
            }
            _ => None,
        };
        Ok(Explanation { verdicts: report.verdicts, change })
    }
}

/// The values that rules 1 to 5 yielded, each without a value if its rule failed.
struct Fields {
    user: Option<UserId>,
    entity: Option<Entity>,
    chat: ChatField,
}

/// The value of `CHAT_ID`, as rule 4 sees it.
enum ChatField {
    /// An id.
    Named(ChatId),
    /// Absent: the removal is from the last chat.
    Absent,
    /// Neither, so that rule 4 fails.
    Invalid,
}

impl Explain<'_> {
    /// Checks rules 1 to 5.
    fn check_request(&self, report: &mut Report) -> Result<Fields, StoreError> {
        use rules::request::{chat_id, crm_data, crm_entity, crm_entity_type, user_id};

        let user = report.record(Rule::UserId, user_id(self.request))?;
        report.record(Rule::CrmData, crm_data(self.request))?;
        let id = report.record(Rule::EntityId, crm_entity(self.request))?;
        let chat = match report.record(Rule::ChatId, chat_id(self.request))? {
            Some(Some(chat)) => ChatField::Named(chat),
            Some(None) => ChatField::Absent,
            None => ChatField::Invalid,
        };
        let kind = report.record(Rule::EntityKind, crm_entity_type(self.request))?;
        let entity = kind.zip(id).map(|(kind, id)| Entity { kind, id });
        Ok(Fields { user, entity, chat })
    }

    /// Checks rules 6 to 9, and returns the chat that the user would leave.
    async fn check_chat(
        &self,
        tx: &mut impl Transaction,
        report: &mut Report,
        fields: &Fields,
    ) -> Result<Option<ChatId>, StoreError> {
        use rules::storage::{access, last_chat, link, messenger};

        report.record(Rule::Messenger, messenger(tx).await)?;
        let question = fields.entity.map(|entity| access(tx, self.actor, entity));
        report.ask(Rule::Access, question).await?;

        match fields.chat {
            // Rule 8 holds, and rule 9 asks about this chat.
            ChatField::Named(chat) => {
                report.hold(Rule::Chat);
                let question = fields.entity.map(|entity| link(tx, chat, entity));
                report.ask(Rule::Link, question).await?;
                Ok(Some(chat))
            }
            // The last chat is linked by definition: rule 9 holds unasked.
            ChatField::Absent => {
                let question = fields.entity.map(|entity| last_chat(tx, entity));
                let chat = report.ask(Rule::Chat, question).await?;
                match chat {
                    Some(_) => report.hold(Rule::Link),
                    None => report.skip(Rule::Link),
                }
                Ok(chat)
            }
            // Neither rule has a chat to ask about.
            ChatField::Invalid => {
                report.skip(Rule::Chat);
                report.skip(Rule::Link);
                Ok(None)
            }
        }
    }

    /// Checks rules 10 to 12, and returns the user's role in the chat.
    async fn check_user(
        &self,
        tx: &mut impl Transaction,
        report: &mut Report,
        fields: &Fields,
        chat: Option<ChatId>,
    ) -> Result<Option<Role>, StoreError> {
        use rules::storage::{active_user, member, permission};

        let question = chat.zip(fields.entity);
        let question = question.map(|(chat, entity)| permission(tx, self.actor, chat, entity));
        report.ask(Rule::Permission, question).await?;

        let question = fields.user.map(|user| active_user(tx, user));
        report.ask(Rule::ActiveUser, question).await?;

        let question = chat.zip(fields.user);
        let question = question.map(|(chat, user)| member(tx, chat, user, self.request.if_absent));
        report.ask(Rule::Member, question).await
    }
}

/// The verdicts so far.
#[derive(Default)]
struct Report {
    verdicts: Vec<(Rule, Verdict)>,
    /// True once a rule has failed. From then on a storage failure is a verdict, not an error.
    decided: bool,
}

impl Report {
    /// Asks a rule's question and records the result, or that the rule cannot be asked.
    async fn ask<T>(
        &mut self,
        rule: Rule,
        question: Option<impl Future<Output = Result<T, EarlyExit>>>,
    ) -> Result<Option<T>, StoreError> {
        let Some(question) = question else {
            self.skip(rule);
            return Ok(None);
        };
        self.record(rule, question.await)
    }

    /// Records the result of a rule, and returns the value that it yielded.
    ///
    /// # Errors
    /// The storage failure, if no rule has decided yet.
    fn record<T>(
        &mut self,
        rule: Rule,
        result: Result<T, impl Into<EarlyExit>>,
    ) -> Result<Option<T>, StoreError> {
        let (verdict, value) = match result.map_err(Into::into) {
            Ok(value) => (Verdict::Holds, Some(value)),
            Err(EarlyExit::Decided(answer)) => (Verdict::Fails(answer), None),
            // A removal would never have reached this question: the failure must not mask the
            // answer.
            Err(EarlyExit::Failed(error)) if self.decided => (Verdict::Unknown(error), None),
            Err(EarlyExit::Failed(error)) => return Err(error),
        };
        self.decided |= matches!(verdict, Verdict::Fails(_));
        self.verdicts.push((rule, verdict));
        Ok(value)
    }

    /// Records that a rule holds without a question.
    fn hold(&mut self, rule: Rule) {
        self.verdicts.push((rule, Verdict::Holds));
    }

    /// Records that a rule cannot be asked.
    fn skip(&mut self, rule: Rule) {
        self.verdicts.push((rule, Verdict::CannotBeAsked));
    }
}
