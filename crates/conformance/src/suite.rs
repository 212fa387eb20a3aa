//! The conformance suite: the cases, and everything needed to run them against a backend.
//!
//! The modules build on one another in this order: `harness` and `transcript`, `runner`,
//! `test_store`, `interleaving`, `cases`, and last `registry`, which lists the cases.

mod cancellation;
pub mod cases;
mod delegate;
mod harness;
mod interleaving;
mod perform;
mod registry;
mod runner;
mod test_store;
mod transcript;

pub use cancellation::{CancelOutcome, cancel_after_polls};
pub use delegate::IntoValue;
pub use harness::Harness;
pub use perform::{RemovalReply, perform, perform_through};
pub use registry::{CASES, run_named_case};
pub use runner::{Case, TestContext, run_case};
pub use test_store::TestStore;
pub(crate) use test_store::panic_message;
