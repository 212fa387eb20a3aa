//! The cases: one function for each law. The documentation of each begins with the id of the scenario that it plays.
//!
//! [`conformance_tests!`](crate::conformance_tests) makes tests of them, and [`CASES`](crate::CASES) lists them.

pub mod bulk;
pub mod entities;
pub mod ids;
pub mod interrupted;
pub mod membership;
pub mod owner;
pub mod races;
pub mod users;
