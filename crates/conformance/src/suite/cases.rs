//! The cases: one function for each law.
//!
//! The documentation of each function begins with the id of the scenario that it plays; the
//! repository's `docs/scenarios.md` lists the ids.
//! [`conformance_tests!`](crate::conformance_tests) generates their tests, and
//! [`CASES`](crate::CASES) lists them.

pub mod batches;
pub mod cancelled;
pub mod conflicts;
pub mod edits;
pub mod entities;
pub mod failures;
pub mod ids;
pub mod in_flight;
mod injection;
pub mod many_callers;
pub mod members;
pub mod owner;
pub mod races;
pub mod users;
