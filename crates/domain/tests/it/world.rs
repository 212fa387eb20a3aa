//! Every world that the rules distinguish, with the expected answer: a reference implementation of
//! the rules as a table.

use std::collections::BTreeSet;

use crm_chat_domain::{
    Answer, Argument, Change, ChatId, IfAbsent, Input, Outcome, OwnerChange, Refusal, Removal,
    Request, Role, UserId,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::script::{ACTOR, Call, ENTITY, Facts, LAST, NAMED, SUCCESSOR, USER};

/// The class of a request field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Valid,
    Absent,
    Invalid,
}

use Field::{Absent, Invalid, Valid};

const FIELD: [Field; 3] = [Valid, Absent, Invalid];

/// The four fields of a request and the option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) user: Field,
    pub(crate) kind: Field,
    pub(crate) entity: Field,
    pub(crate) chat: Field,
    pub(crate) if_absent: IfAbsent,
}

/// The valid request, which names its chat.
impl Default for Fields {
    fn default() -> Self {
        Self { user: Valid, kind: Valid, entity: Valid, chat: Valid, if_absent: IfAbsent::Refuse }
    }
}

/// Everything on which the answer depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) fields: Fields,
    pub(crate) facts: Facts,
}

/// The rules that ask the storage, each with its question.
pub(crate) const QUESTIONS: [(u8, Call); 7] = [
    (6, Call::Messenger),
    (7, Call::Access),
    (8, Call::LastChat),
    (9, Call::Link),
    (10, Call::Permission),
    (11, Call::ActiveUser),
    (12, Call::Role),
];

impl World {
    pub(crate) fn request(&self) -> Request {
        let input = |field, valid: i64| match field {
            Valid => valid.into(),
            Absent => Input::Absent,
            Invalid => "12abc".into(),
        };
        let Fields { user, kind, entity, chat, if_absent } = self.fields;
        Request {
            crm_entity_type: match kind {
                Valid => "Deal".into(),
                Absent => Input::Absent,
                Invalid => "chat".into(),
            },
            crm_entity: input(entity, ENTITY.id.get()),
            user_id: input(user, USER.get()),
            chat_id: input(chat, NAMED.get()),
            if_absent,
        }
    }

    /// Returns the chat that the questions name.
    pub(crate) fn chat(&self) -> ChatId {
        match self.fields.chat {
            Absent => LAST,
            Valid | Invalid => NAMED,
        }
    }

    /// Returns `true` if a rule fails, regardless of the other rules.
    pub(crate) fn fails(&self, rule: u8) -> bool {
        let Self { fields, facts } = self;
        match rule {
            1 => fields.user != Valid,
            2 => fields.kind == Absent || fields.entity == Absent,
            3 => fields.entity != Valid,
            4 => fields.chat == Invalid,
            5 => fields.kind != Valid,
            6 => !facts.messenger,
            7 => !facts.access,
            8 => fields.chat == Absent && !facts.last_chat,
            9 => fields.chat == Valid && !facts.linked,
            10 => !facts.may_remove,
            11 => !facts.active,
            12 => facts.role.is_none(),
            _ => unreachable!("there are twelve rules"),
        }
    }

    pub(crate) fn deciding(&self) -> Option<u8> {
        (1..=12).find(|rule| self.fails(*rule))
    }

    /// Returns the typed request, if rules 1 to 5 hold.
    pub(crate) fn removal(&self) -> Option<Removal> {
        let mut removal = Removal::new(ENTITY, USER).if_absent(self.fields.if_absent);
        removal.chat = (self.fields.chat == Valid).then_some(NAMED);
        (!(1..=5).any(|rule| self.fails(rule))).then_some(removal)
    }

    /// Returns the answer that a rule gives if it decides.
    pub(crate) fn answer_of(&self, rule: u8) -> Answer {
        let (actor, user, chat, entity) = (ACTOR, USER, self.chat(), ENTITY);
        Err(match rule {
            1 => Refusal::EmptyUser,
            2 => Refusal::EmptyCrmData,
            3 => Refusal::InvalidArgument(Argument::CrmEntity),
            4 => Refusal::InvalidArgument(Argument::ChatId),
            5 => Refusal::UnknownEntityKind,
            6 => Refusal::MessengerNotInstalled,
            7 => Refusal::AccessDenied { actor, entity },
            8 => return Ok(Outcome::NoChat),
            9 => Refusal::ChatNotInCrm { chat, entity },
            10 => Refusal::RemovalDenied { actor, chat, entity },
            11 => Refusal::UserNotActive { user },
            12 if self.fields.if_absent == IfAbsent::Accept => {
                return Ok(Outcome::AlreadyAbsent { chat });
            }
            _ => Refusal::NotAMember { user, chat },
        })
    }

    /// Returns the change that is made if every rule holds.
    pub(crate) fn change(&self) -> Change {
        Change {
            chat: self.chat(),
            user: USER,
            actor: ACTOR,
            entity: ENTITY,
            owner: match (self.facts.role, self.facts.successor) {
                (Some(Role::Owner), Some(successor)) => OwnerChange::PassesTo(successor),
                (Some(Role::Owner), None) => OwnerChange::Vacant,
                _ => OwnerChange::Unchanged,
            },
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        match self.deciding() {
            Some(rule) => self.answer_of(rule),
            None => Ok(Outcome::Removed(self.change())),
        }
    }

    /// Returns every call that the removal makes to the store, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let Some(removal) = self.removal() else {
            return Vec::new();
        };
        let deciding = self.deciding();
        let mut calls = vec![Call::Begin, Call::Prefetch(removal)];
        calls.extend(
            QUESTIONS
                .into_iter()
                .filter(|(rule, call)| {
                    deciding.is_none_or(|last| *rule <= last) && self.asks(*call)
                })
                .map(|(_, call)| call),
        );
        if deciding.is_none() {
            calls.extend((self.facts.role == Some(Role::Owner)).then_some(Call::Successor));
            calls.push(Call::RemoveMember);
        }
        calls.push(Call::Commit);
        calls
    }

    /// Returns `true` if this world asks the question: of rules 8 and 9, only one asks.
    pub(crate) fn asks(&self, call: Call) -> bool {
        match call {
            Call::LastChat => self.fields.chat == Absent,
            Call::Link => self.fields.chat == Valid,
            _ => true,
        }
    }
}

/// Every combination of fields. An absent user is left out: it fails rule 1 as an invalid one does.
pub(crate) fn all_fields() -> impl Iterator<Item = Fields> {
    (0..108_usize).map(|index| Fields {
        user: [Valid, Invalid][index % 2],
        kind: FIELD[index / 2 % 3],
        entity: FIELD[index / 6 % 3],
        chat: FIELD[index / 18 % 3],
        if_absent: [IfAbsent::Refuse, IfAbsent::Accept][index / 54],
    })
}

/// Every combination of facts that the rules distinguish.
pub(crate) fn all_facts() -> impl Iterator<Item = Facts> {
    (0..64_u8).flat_map(|bits| {
        let bit = |place: u8| bits >> place & 1 == 0;
        roles().map(|(role, successor)| Facts {
            messenger: bit(0),
            access: bit(1),
            last_chat: bit(2),
            linked: bit(3),
            may_remove: bit(4),
            active: bit(5),
            role,
            successor,
            removes: true,
        })
    })
}

fn roles() -> [(Option<Role>, Option<UserId>); 4] {
    [
        (Some(Role::Member), None),
        (Some(Role::Owner), Some(SUCCESSOR)),
        (Some(Role::Owner), None),
        (None, None),
    ]
}

pub(crate) fn all_worlds() -> impl Iterator<Item = World> {
    all_fields().flat_map(|fields| all_facts().map(move |facts| World { fields, facts }))
}

/// Any world. The simplest is the one in which every rule holds.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    select(all_worlds().collect::<Vec<_>>())
}

/// Every world whose request passes rules 1 to 5.
pub(crate) fn typed_worlds() -> impl Iterator<Item = (World, Removal)> {
    all_worlds().filter_map(|world| world.removal().map(|removal| (world, removal)))
}

#[test]
fn all_combinations_are_generated() {
    let fields: BTreeSet<String> = all_fields().map(|fields| format!("{fields:?}")).collect();
    assert_eq!(fields.len(), 2 * 3 * 3 * 3 * 2);
    assert_eq!(all_worlds().count(), fields.len() * 64 * 4);
    assert_eq!(typed_worlds().count(), 2 * 2 * 64 * 4);
}
