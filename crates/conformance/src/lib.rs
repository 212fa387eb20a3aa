#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod doubles;
pub mod fixtures;
pub mod generators;
pub mod guide;
pub mod linearizability;
pub mod model;
pub mod prelude;
pub mod properties;
mod suite;

#[doc(hidden)]
pub use crm_chat_domain as domain;
#[doc(hidden)]
pub use suite::IntoValue;
pub use suite::{
    CASES, CancelOutcome, Case, Harness, RemovalReply, TestContext, TestStore, cancel_after_polls,
    cases, perform, perform_through, run_case, run_named_case,
};
