//! The search for a serial order.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crm_chat_domain::{Answer, Outcome, RemovalRecord, Snapshot, StoreErrorKind};

use super::bits::Bits;
use super::{Ending, Event, History};
use crate::model::{Difference, Model, Operation, Response, difference};

/// A serial order of a history. It is displayed one operation a line.
///
/// Operations that changed nothing and whose response nobody saw are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialOrder {
    events: Vec<Event>,
}

impl SerialOrder {
    /// Returns the events in that order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl fmt::Display for SerialOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&History { events: self.events.clone() }, f)
    }
}

/// A history has no serial order that the model accepts: the store is not serialisable, or answers wrongly.
///
/// It is displayed as the longest order that was found, with the world in which it ends and what fits no more. From the
/// world on it can be pasted as a [`Script`](crate::model::Script).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSerialOrder(Box<Impasse>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Impasse {
    order: Vec<Event>,
    world: Model,
    stuck: Stuck,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stuck {
    /// Each event that may come next, with why it does not fit.
    Next(Vec<(Event, String)>),
    /// Nothing is left, but the store holds something else.
    End(Option<Difference>),
}

impl Error for NoSerialOrder {}

impl fmt::Display for NoSerialOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the history has no serial order; the longest that was found is\n")?;
        let Impasse { order, world, stuck } = &*self.0;
        for event in order {
            writeln!(f, "{event}")?;
        }
        writeln!(f, "// and leads to\n{world:?}")?;
        match stuck {
            Stuck::Next(events) => {
                f.write_str("// where none of these can come next")?;
                for (event, why_not) in events {
                    write!(f, "\n{event}\n    // {}", remark(why_not))?;
                }
                Ok(())
            }
            Stuck::End(Some(difference)) => {
                write!(f, "// but the store ends otherwise\n    // {}", remark(difference))
            }
            Stuck::End(None) => f.write_str("// but the store ends otherwise"),
        }
    }
}

/// Writes lines so that each stands behind `//`.
fn remark(lines: &impl fmt::Display) -> String {
    lines.to_string().replace('\n', "\n    // ")
}

/// Looks for a serial order of `history` that begins in `initial` and ends in `last`.
///
/// An operation that failed with *outcome unknown*, or never ended, may have happened at any time since it began or not
/// at all; one that failed otherwise has not.
///
/// # Errors
/// [`NoSerialOrder`] if there is none.
pub fn check(
    initial: &Snapshot,
    history: &History,
    last: &Snapshot,
) -> Result<SerialOrder, NoSerialOrder> {
    Search {
        events: history.events().iter().filter(|event| may_matter(event)).collect(),
        last,
        seen: HashSet::new(),
    }
    .run(Model::new(initial.clone()))
}

/// Tells whether an event was seen to happen, or may have changed something unseen.
fn may_matter(event: &Event) -> bool {
    let changes = !matches!(event.operation, Operation::Explain(_) | Operation::Dump);
    match event.ending {
        Ending::Responded(_) => true,
        Ending::Failed(StoreErrorKind::OutcomeUnknown) | Ending::Open => changes,
        Ending::Failed(_) => false,
    }
}

/// Tells whether an event changed nothing, wherever in the order it comes. An edit that was made may have had nothing to
/// change, but only in some places.
fn only_reads(event: &Event) -> bool {
    let removed = |answer: &Answer| matches!(answer, Ok(Outcome::Removed(_)));
    match &event.ending {
        Ending::Responded(Response::Answer(answer)) => !removed(answer),
        Ending::Responded(Response::Answers(answers)) => !answers.iter().any(removed),
        Ending::Responded(Response::Edited(result)) => result.is_err(),
        Ending::Responded(Response::Explained(_) | Response::Dumped(_)) => true,
        Ending::Failed(_) | Ending::Open => false,
    }
}

struct Search<'a> {
    /// In the order in which they began.
    events: Vec<&'a Event>,
    last: &'a Snapshot,
    /// What was done, and a hash of the world to which it led.
    seen: HashSet<(Bits, u64)>,
}

/// Where the search stands.
struct Position {
    done: Bits,
    model: Model,
    /// What to try from here, the last first.
    steps: Vec<Step>,
}

/// An event that fits next, and the model after it.
struct Step {
    event: usize,
    model: Model,
}

impl Search<'_> {
    fn run(mut self, initial: Model) -> Result<SerialOrder, NoSerialOrder> {
        let nothing = Bits::below(self.events.len());
        let mut order: Vec<usize> = Vec::new();
        let mut furthest = (order.clone(), nothing.clone(), initial.clone());
        let mut path = vec![self.position(nothing, initial)];
        while let Some(position) = path.last_mut() {
            if self.is_end(position) {
                let events = self.named(&order);
                return Ok(SerialOrder { events });
            }
            if order.len() >= furthest.0.len() {
                furthest = (order.clone(), position.done.clone(), position.model.clone());
            }
            if let Some(Step { event, model }) = position.steps.pop() {
                let done = position.done.with(event);
                if self.seen.insert((done.clone(), hash(model.world()))) {
                    order.push(event);
                    path.push(self.position(done, model));
                }
            } else {
                path.pop();
                order.pop();
            }
        }
        Err(self.no_order(furthest))
    }

    fn position(&self, done: Bits, model: Model) -> Position {
        let mut steps = self.steps(&done, &model);
        // What only reads can come at once: whatever follows is as good after it.
        if let Some(reads) = steps.iter().position(|step| only_reads(self.events[step.event])) {
            steps = vec![steps.swap_remove(reads)];
        }
        Position { done, model, steps }
    }

    /// Tells whether all that was seen to happen is done and the store holds what it led to.
    fn is_end(&self, position: &Position) -> bool {
        let left = self.left(&position.done);
        left.into_iter().all(|event| end(self.events[event]).is_none())
            && difference(position.model.world(), self.last).is_none()
    }

    fn left(&self, done: &Bits) -> Vec<usize> {
        let all = 0..self.events.len();
        all.filter(|event| !done.contains(*event)).collect()
    }

    /// Returns what may come next in real time: whatever began before anything that is left ended. What ended last comes
    /// first.
    fn next(&self, done: &Bits) -> Vec<usize> {
        let left = self.left(done);
        let ends = left.iter().filter_map(|event| end(self.events[*event]));
        let first_end = ends.min().unwrap_or(u64::MAX);
        let mut next: Vec<_> =
            left.into_iter().filter(|event| self.events[*event].began <= first_end).collect();
        next.sort_by_key(|event| std::cmp::Reverse(end(self.events[*event]).unwrap_or(u64::MAX)));
        next
    }

    /// Returns what fits next: the model responds as the store did, and logs what the store logged.
    fn steps(&self, done: &Bits, model: &Model) -> Vec<Step> {
        let step = |event: usize| {
            let mut after = model.clone();
            let expected = after.perform(&self.events[event].operation);
            let fits = match &self.events[event].ending {
                Ending::Responded(found) => expected.admits(found),
                Ending::Failed(_) | Ending::Open => after != *model,
            };
            let logged = model.world().removals.len();
            (fits && self.is_logged(after.world(), logged)).then_some(Step { event, model: after })
        };
        self.next(done).into_iter().filter_map(step).collect()
    }

    /// Tells whether the records from a place on stand in the last log at the same places.
    fn is_logged(&self, world: &Snapshot, from: usize) -> bool {
        let timeless = |record: &RemovalRecord| RemovalRecord { recorded_at: None, ..*record };
        let found = self.last.removals.get(from..world.removals.len());
        let records = world.removals[from..].iter();
        found.is_some_and(|found| {
            records.zip(found).all(|(expected, found)| timeless(expected) == timeless(found))
        })
    }

    fn named(&self, order: &[usize]) -> Vec<Event> {
        order.iter().map(|event| self.events[*event].clone()).collect()
    }

    fn no_order(&self, (order, done, world): (Vec<usize>, Bits, Model)) -> NoSerialOrder {
        let next = self.next(&done).into_iter().map(|event| self.events[event]);
        let next = next.filter(|event| end(event).is_some());
        let next: Vec<_> = next.map(|event| (event.clone(), why_not(&world, event))).collect();
        NoSerialOrder(Box::new(Impasse {
            order: self.named(&order),
            stuck: if next.is_empty() {
                Stuck::End(difference(world.world(), self.last))
            } else {
                Stuck::Next(next)
            },
            world,
        }))
    }
}

/// Says what does not fit about an event in a world.
fn why_not(model: &Model, event: &Event) -> String {
    let expected = model.clone().perform(&event.operation);
    match (&expected, &event.ending) {
        (expected, Ending::Responded(found)) if expected.admits(found) => {
            "the model responds so too, but the log has another record here, or nothing fits after it".to_owned()
        }
        (Response::Dumped(world), _) => format!("the model holds {:?}", Model::new(world.clone())),
        _ => format!("the model responds {expected:?}"),
    }
}

/// When an event has happened at the latest; `None` if perhaps never.
fn end(event: &Event) -> Option<u64> {
    match event.ending {
        Ending::Responded(_) => event.ended,
        Ending::Failed(_) | Ending::Open => None,
    }
}

fn hash(world: &Snapshot) -> u64 {
    let mut world = world.clone();
    world.sort();
    let mut hasher = DefaultHasher::new();
    world.messenger_installed.hash(&mut hasher);
    world.users.hash(&mut hasher);
    world.chats.hash(&mut hasher);
    world.links.hash(&mut hasher);
    world.access.hash(&mut hasher);
    world.removers.hash(&mut hasher);
    world.removals.hash(&mut hasher);
    hasher.finish()
}
