//! The model: the rules stated a second time, over plain data.
//!
//! A [`Model`] answers what every backend must answer, from a [`Snapshot`] alone: in memory, at once, without storage. It
//! shares no code with the rules of `crm-chat-domain`, only their words (ids, [`Refusal`],
//! [`Change`] and so on), and it states them in another shape: a table of predicates over a world, in which the first that
//! does not hold decides. So a mistake would have to be made twice to go unseen.
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
mod explained;
mod operation;
mod question;
mod rules;
mod script;

pub(crate) use difference::literal_difference;
pub use difference::{Difference, difference};
pub use explained::{Explained, Verdict};
pub use operation::{Call, Operation, Response};
pub use script::{InvalidScript, Script};

use question::{Asked, Question};

/// A store as the specification wants it.
#[derive(Clone, PartialEq, Eq)]
pub struct Model {
    world: Snapshot,
}

/// As the first line of a [`Script`], so that it can be pasted.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&script::world_line(&self.world)?)
    }
}

impl Model {
    /// Makes a model that holds what a [valid](Snapshot::validate) snapshot says.
    #[must_use]
    pub const fn new(world: Snapshot) -> Self {
        Self { world }
    }

    /// Returns what the store must hold now. Records made by the model bear no time; the order of the lists that have
    /// none is arbitrary.
    #[must_use]
    pub const fn world(&self) -> &Snapshot {
        &self.world
    }

    /// Returns what a dump of the store must show now: the [world](Self::world), [sorted](Snapshot::sort).
    #[must_use]
    pub fn dump(&self) -> Snapshot {
        let mut world = self.world.clone();
        world.sort();
        world
    }

    /// Returns what must be answered to a removal now, and changes nothing.
    ///
    /// # Errors
    /// The refusal of the first rule that fails.
    pub fn answer(&self, actor: UserId, removal: &Removal) -> Answer {
        Question::new(&self.world, actor, Asked::from(removal)).answer()
    }

    /// Removes a user: returns the answer and, if it is *removed*, makes the change.
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

    /// Returns for every rule whether it holds for a request, and what the removal would change now.
    #[must_use]
    pub fn explain(&self, actor: UserId, request: &Request) -> Explained {
        Question::new(&self.world, actor, Asked::from(request)).explain()
    }

    /// Makes a single change.
    ///
    /// # Errors
    /// [`EditRejection`] if it names what is not there. Nothing was changed.
    pub fn edit(&mut self, edit: &Edit) -> Result<(), EditRejection> {
        if let Some(rejection) = edit::obstacle(&self.world, edit) {
            return Err(rejection);
        }
        edit::make(&mut self.world, edit);
        Ok(())
    }

    /// Performs an operation: returns what a store must respond, and changes what it must change.
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

    fn call(&mut self, call: &Call) -> Answer {
        self.remove(call.actor, &parse(&call.request)?)
    }

    /// Makes a change, all of it: the member, the owner, the record.
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

/// Returns the world after a single change: how a harness makes one in a store that keeps its data as a snapshot.
///
/// # Errors
/// [`EditRejection`] if it names what is not there.
pub fn edited(world: Snapshot, edit: &Edit) -> Result<Snapshot, EditRejection> {
    let mut model = Model::new(world);
    model.edit(edit).map(|()| model.world)
}

/// Reads a request by rules 1 to 5.
///
/// # Errors
/// The refusal of the first of these rules that fails.
pub fn parse(request: &Request) -> Result<Removal, Refusal> {
    rules::parse(&Asked::from(request))
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
