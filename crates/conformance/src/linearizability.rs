//! Records what concurrent callers do to a store, and searches for a serial order.
//!
//! A [`Recorder`] stamps the invocation and the completion of each operation. [`check`] then
//! searches for an order of the operations, as if each had run alone, that
//!
//! - respects real time: an operation that completed before another was invoked comes first;
//! - makes the [model](crate::model) respond as the store did;
//! - ends in the final state of the store.
//!
//! The algorithm is the search of Wing and Gong, with a memory of the states already visited.
//!
//! ```
//! use crm_chat_conformance::linearizability::{Recorder, check};
//! use crm_chat_conformance::model::{Operation, Response};
//! use crm_chat_domain::{Edit, Snapshot, UserId};
//!
//! let recorder = Recorder::new();
//! let activate = Operation::Edit(Edit::ActivateUser { user: UserId::MIN });
//! recorder.invoke(activate).respond(Response::Edited(Ok(()))); // for a user that was never added
//!
//! let empty = Snapshot::default();
//! let error = check(&empty, &recorder.history(), &empty).unwrap_err();
//! assert!(error.to_string().contains("the model responds Edited(Err(UnknownUser(UserId(1))))"));
//! ```

mod bitset;
mod recorder;
mod search;
#[cfg(test)]
mod tests;

pub use recorder::{Completion, Event, History, Invocation, Recorder};
pub use search::{NoSerialOrderError, SerialOrder, check};
