//! Searches for a serial order.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crm_chat_domain::{Answer, Outcome, RemovalRecord, Snapshot, StoreErrorKind};

use super::bitset::BitSet;
use super::recorder::{Completion, Event, History, write_events};
use crate::model::{Difference, Model, Operation, Response, difference};

/// A serial order of a history. Displayed with one operation per line.
///
/// Operations that changed nothing and whose response was not received are left out.
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
        write_events(&self.events, f)
    }
}

/// The error returned when a history has no serial order that the model accepts: the store is not
/// serializable, or its answers are wrong.
///
/// Displayed as the longest order that was found, the state in which it ends, and the operations
/// that do not fit next. From the state on, the text can be parsed as a
/// [`Script`](crate::model::Script).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSerialOrderError(Box<Counterexample>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Counterexample {
    order: Vec<Event>,
    world: Model,
    blocked: Blocked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Blocked {
    /// Every event that may come next, with the reason why it does not fit.
    Next(Vec<(Event, String)>),
    /// No event is left, but the store holds something else.
    End(Option<Difference>),
}

impl Error for NoSerialOrderError {}

impl fmt::Display for NoSerialOrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the history has no serial order; the longest that was found is\n")?;
        let Counterexample { order, world, blocked } = &*self.0;
        for event in order {
            writeln!(f, "{event}")?;
        }
        writeln!(f, "// and leads to\n{world:?}")?;
        match blocked {
            Blocked::Next(events) => {
                f.write_str("// where none of these can come next")?;
                for (event, mismatch) in events {
                    write!(f, "\n{event}\n    // {}", comment(mismatch))?;
                }
                Ok(())
            }
            Blocked::End(Some(difference)) => {
                write!(f, "// but the store ends in another state\n    // {}", comment(difference))
            }
            Blocked::End(None) => f.write_str("// but the store ends in another state"),
        }
    }
}

/// Formats lines as comments.
fn comment(lines: &impl fmt::Display) -> String {
    lines.to_string().replace('\n', "\n    // ")
}

/// Searches for a serial order of `history` that begins in `initial` and ends in `last`.
///
/// An operation that failed with *outcome unknown*, or never completed, may have taken effect at
/// any time since its invocation or not at all. One that failed with another kind has not.
///
/// # Errors
/// [`NoSerialOrderError`] if there is none.
pub fn check(
    initial: &Snapshot,
    history: &History,
    last: &Snapshot,
) -> Result<SerialOrder, NoSerialOrderError> {
    Search {
        events: history.events().iter().filter(|event| may_matter(event)).collect(),
        last,
        seen: HashSet::new(),
    }
    .run(Model::new(initial.clone()))
}

/// Returns whether an event has a response, or may have changed something without one.
fn may_matter(event: &Event) -> bool {
    let changes = !matches!(event.operation, Operation::Explain(_) | Operation::Dump);
    match event.completion {
        Completion::Ok(_) => true,
        Completion::Fail(StoreErrorKind::OutcomeUnknown) | Completion::Indeterminate => changes,
        Completion::Fail(_) => false,
    }
}

/// Returns whether an event changed nothing, at any position in the order. An accepted edit does
/// not count: it may have changed nothing, but only at some positions.
fn only_reads(event: &Event) -> bool {
    let removed = |answer: &Answer| matches!(answer, Ok(Outcome::Removed(_)));
    match &event.completion {
        Completion::Ok(Response::Answer(answer)) => !removed(answer),
        Completion::Ok(Response::Answers(answers)) => !answers.iter().any(removed),
        Completion::Ok(Response::Edited(result)) => result.is_err(),
        Completion::Ok(Response::Explained(_) | Response::Dumped(_)) => true,
        Completion::Fail(_) | Completion::Indeterminate => false,
    }
}

struct Search<'a> {
    /// Ordered by invocation.
    events: Vec<&'a Event>,
    last: &'a Snapshot,
    /// The events already placed, with a hash of the resulting state. Reaching the same pair again
    /// cannot lead anywhere new.
    seen: HashSet<(BitSet, u64)>,
}

/// A node of the search: the events already placed and the model after them.
struct SearchNode {
    done: BitSet,
    model: Model,
    /// The moves left to try. The last one is tried first.
    moves: Vec<Move>,
}

/// An event that fits next, and the model after it.
struct Move {
    event: usize,
    model: Model,
}

impl Search<'_> {
    fn run(mut self, initial: Model) -> Result<SerialOrder, NoSerialOrderError> {
        let none_done = BitSet::below(self.events.len());
        let mut order: Vec<usize> = Vec::new();
        let mut furthest = (order.clone(), none_done.clone(), initial.clone());
        // An explicit stack instead of recursion: a history may be longer than the thread's stack.
        let mut path = vec![self.node(none_done, initial)];
        while let Some(node) = path.last_mut() {
            if self.is_end(node) {
                let events = self.events_of(&order);
                return Ok(SerialOrder { events });
            }
            if order.len() >= furthest.0.len() {
                // Kept for the report: the longest order shows best where the history goes wrong.
                furthest = (order.clone(), node.done.clone(), node.model.clone());
            }
            if let Some(Move { event, model }) = node.moves.pop() {
                let done = node.done.with(event);
                // Only a hash is kept, to save memory. A collision could hide an order, but with 64
                // bits that is far less likely than a flaw in the store.
                if self.seen.insert((done.clone(), hash(model.world()))) {
                    order.push(event);
                    path.push(self.node(done, model));
                }
            } else {
                path.pop();
                order.pop();
            }
        }
        Err(self.no_order(furthest))
    }

    fn node(&self, done: BitSet, model: Model) -> SearchNode {
        let mut moves = self.moves(&done, &model);
        // If an event that only reads fits now, place it now and try nothing else: it does not
        // change the state, so every event that could come before it can come after it as well.
        if let Some(read) =
            moves.iter().position(|next_move| only_reads(self.events[next_move.event]))
        {
            moves = vec![moves.swap_remove(read)];
        }
        SearchNode { done, model, moves }
    }

    /// Returns whether every event with a response is placed and the store holds the resulting
    /// state.
    fn is_end(&self, node: &SearchNode) -> bool {
        let left = self.left(&node.done);
        left.into_iter().all(|event| latest(self.events[event]).is_none())
            && difference(node.model.world(), self.last).is_none()
    }

    fn left(&self, done: &BitSet) -> Vec<usize> {
        let all = 0..self.events.len();
        all.filter(|event| !done.contains(*event)).collect()
    }

    /// Returns the events that may come next in real time: those invoked before any remaining event
    /// completed. Sorted so that the last one, which is tried first, completed earliest: that order
    /// is most often right.
    fn next(&self, done: &BitSet) -> Vec<usize> {
        let left = self.left(done);
        let ends = left.iter().filter_map(|event| latest(self.events[*event]));
        let first_completion = ends.min().unwrap_or(u64::MAX);
        let mut next: Vec<_> = left
            .into_iter()
            .filter(|event| self.events[*event].invoked_at <= first_completion)
            .collect();
        next.sort_by_key(|event| {
            std::cmp::Reverse(latest(self.events[*event]).unwrap_or(u64::MAX))
        });
        next
    }

    /// Returns the events that fit next: the model responds and logs as the store did.
    fn moves(&self, done: &BitSet, model: &Model) -> Vec<Move> {
        let next_move = |event: usize| {
            let mut after = model.clone();
            let expected = after.perform(&self.events[event].operation);
            let fits = match &self.events[event].completion {
                Completion::Ok(actual) => expected.matches(actual),
                // Without a response, only an effect is worth a place in the order.
                Completion::Fail(_) | Completion::Indeterminate => after != *model,
            };
            let logged = model.world().removals.len();
            (fits && self.is_logged(after.world(), logged)).then_some(Move { event, model: after })
        };
        self.next(done).into_iter().filter_map(next_move).collect()
    }

    /// Returns whether the final log has the same records as `world` from an index on. The log has
    /// the order of the commits, so a wrong order is detected early.
    fn is_logged(&self, world: &Snapshot, from: usize) -> bool {
        let timeless = |record: &RemovalRecord| RemovalRecord { recorded_at: None, ..*record };
        let found = self.last.removals.get(from..world.removals.len());
        let records = world.removals[from..].iter();
        found.is_some_and(|found| {
            records.zip(found).all(|(expected, found)| timeless(expected) == timeless(found))
        })
    }

    fn events_of(&self, order: &[usize]) -> Vec<Event> {
        order.iter().map(|event| self.events[*event].clone()).collect()
    }

    fn no_order(&self, (order, done, world): (Vec<usize>, BitSet, Model)) -> NoSerialOrderError {
        let next = self.next(&done).into_iter().map(|event| self.events[event]);
        let next = next.filter(|event| latest(event).is_some());
        let next: Vec<_> = next.map(|event| (event.clone(), mismatch(&world, event))).collect();
        NoSerialOrderError(Box::new(Counterexample {
            order: self.events_of(&order),
            blocked: if next.is_empty() {
                Blocked::End(difference(world.world(), self.last))
            } else {
                Blocked::Next(next)
            },
            world,
        }))
    }
}

/// Describes why an event does not fit next.
fn mismatch(model: &Model, event: &Event) -> String {
    let expected = model.clone().perform(&event.operation);
    match (&expected, &event.completion) {
        (expected, Completion::Ok(actual)) if expected.matches(actual) => {
            "the model responds the same, but the log has another record here, or nothing fits after it".to_owned()
        }
        (Response::Dumped(world), _) => format!("the model holds {:?}", Model::new(world.clone())),
        _ => format!("the model responds {expected:?}"),
    }
}

/// Returns the time by which an event has certainly taken effect, or `None` if it may never have.
fn latest(event: &Event) -> Option<u64> {
    match event.completion {
        Completion::Ok(_) => event.completed_at,
        Completion::Fail(_) | Completion::Indeterminate => None,
    }
}

fn hash(world: &Snapshot) -> u64 {
    // Two orders may leave unordered lists differently, which is the same state.
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
