//! The reference model: the rules stated a second time, over plain data.
//!
//! A [`Model`] gives the answers that every backend must give, from a [`Snapshot`] alone and
//! without storage. It shares no code with the rules of `crm-chat-domain`, only their types (ids,
//! [`Refusal`], [`Change`] and so on), and states them in another form: a table of predicates over
//! a world, of which the first that does not hold decides. A mistake would have to be made twice to
//! go unnoticed.
//!
//! ```
//! use crm_chat_conformance::model::Model;
//! use crm_chat_domain::snapshot::Chat;
//! use crm_chat_domain::{Entity, Outcome, Removal, Snapshot, UserId};
//!
//! let mut model = Model::new(serde_json::from_str(
//!     r#"{
//!         "users": [{"id": 3, "active": true}],
//!         "chats": [{"id": 11, "members": [3]}],
//!         "links": [{"entity": {"type": "deal", "id": 21}, "chat": 11}],
//!         "access": [{"user": 1, "entity": {"type": "deal", "id": 21}}],
//!         "removers": [{"user": 1, "chat": 11}]
//!     }"#,
//! )?);
//! let actor: UserId = "1".parse()?;
//! let removal = Removal::new("deal:21".parse()?, "3".parse()?);
//!
//! let answer = model.remove(actor, &removal);
//! assert!(matches!(answer, Ok(Outcome::Removed(_))));
//! assert!(model.world().chats[0].members.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use crm_chat_domain::snapshot::EditRejection;
use crm_chat_domain::{
    Answer, Change, Edit, Outcome, Refusal, Removal, RemovalRecord, Request, Rule, Snapshot, UserId,
};

mod difference;
mod edit;
mod explanation;
mod operation;
mod request;
mod rules;
mod script;

pub(crate) use difference::literal_difference;
pub use difference::{Difference, difference};
pub use explanation::{ModelExplanation, ModelVerdict};
pub use operation::{Operation, RemovalCall, Response};
pub use script::{ParseScriptError, Script};

use request::{Evaluation, ParsedRequest};

/// A store that behaves as specified.
#[derive(Clone, PartialEq, Eq)]
pub struct Model {
    world: Snapshot,
}

/// Formats the model as the first line of a [`Script`], so that it can be pasted.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&script::world_line(&self.world)?)
    }
}

impl Model {
    /// Creates a model that holds a [valid](Snapshot::validate) snapshot.
    #[must_use]
    pub const fn new(world: Snapshot) -> Self {
        Self { world }
    }

    /// Returns the state that the store must have now. Records made by the model have no time.
    /// Lists without a defined order may have any.
    #[must_use]
    pub const fn world(&self) -> &Snapshot {
        &self.world
    }

    /// Returns the dump that the store must give now: the [world](Self::world),
    /// [sorted](Snapshot::sort).
    #[must_use]
    pub fn dump(&self) -> Snapshot {
        let mut world = self.world.clone();
        world.sort();
        world
    }

    /// Returns the answer to a removal, without making it.
    ///
    /// # Errors
    /// The refusal of the first rule that fails.
    pub fn answer(&self, actor: UserId, removal: &Removal) -> Answer {
        Evaluation::new(&self.world, actor, ParsedRequest::from(removal)).answer()
    }

    /// Removes a user, if the rules permit it, and returns the answer.
    ///
    /// # Errors
    /// The refusal of the first rule that fails.
    pub fn remove(&mut self, actor: UserId, removal: &Removal) -> Answer {
        let answer = self.answer(actor, removal);
        if let Ok(Outcome::Removed(change)) = &answer {
            self.make(change);
        }
        answer
    }

    /// Returns the verdict of every rule on a request, and the change that the removal would make.
    #[must_use]
    pub fn explain(&self, actor: UserId, request: &Request) -> ModelExplanation {
        Evaluation::new(&self.world, actor, ParsedRequest::from(request)).explain()
    }

    /// Applies an edit.
    ///
    /// # Errors
    /// [`EditRejection`] if the edit names something unknown. Nothing is changed then.
    pub fn edit(&mut self, edit: &Edit) -> Result<(), EditRejection> {
        if let Some(rejection) = edit::rejection(&self.world, edit) {
            return Err(rejection);
        }
        edit::apply(&mut self.world, edit);
        Ok(())
    }

    /// Performs an operation and returns the response that a store must give.
    pub fn perform(&mut self, operation: &Operation) -> Response {
        match operation {
            Operation::Remove(call) => Response::Answer(self.call(call)),
            Operation::RemoveMany(calls) => {
                Response::Answers(calls.iter().map(|call| self.call(call)).collect())
            }
            Operation::Explain(call) => {
                Response::Explained(self.explain(call.actor, &call.request))
            }
            Operation::Edit(edit) => Response::Edited(self.edit(edit)),
            Operation::Dump => Response::Dumped(self.dump()),
        }
    }

    fn call(&mut self, call: &RemovalCall) -> Answer {
        self.remove(call.actor, &parse(&call.request)?)
    }

    /// Makes a change: the membership, the owner and the record.
    fn make(&mut self, change: &Change) {
        let chats = self.world.chats.iter_mut();
        for chat in chats.filter(|chat| chat.id == change.chat) {
            chat.members.retain(|member| *member != change.user);
            if chat.owner == Some(change.user) {
                chat.owner = change.new_owner();
            }
        }
        self.world.removals.push(RemovalRecord {
            chat: change.chat,
            user: change.user,
            actor: change.actor,
            entity: change.entity,
            new_owner: change.new_owner(),
            recorded_at: None,
        });
    }
}

/// Returns a world after an edit. A harness can use it for a store that keeps its data as a
/// snapshot.
///
/// # Errors
/// [`EditRejection`] if the edit names something unknown.
pub fn edited(world: Snapshot, edit: &Edit) -> Result<Snapshot, EditRejection> {
    let mut model = Model::new(world);
    model.edit(edit).map(|()| model.world)
}

/// Parses a request by rules 1 to 5.
///
/// # Errors
/// The refusal of the first of these rules that fails.
pub fn parse(request: &Request) -> Result<Removal, Refusal> {
    rules::parse(&ParsedRequest::from(request))
}

/// Returns the rule that decided an answer; `None` if the user was removed.
#[must_use]
pub fn deciding(answer: &Answer) -> Option<Rule> {
    match answer {
        Err(refusal) => Some(refusal.rule()),
        Ok(Outcome::NoChat) => Some(Rule::Chat),
        Ok(Outcome::AlreadyAbsent { .. }) => Some(Rule::Member),
        Ok(Outcome::Removed(_)) => None,
    }
}
