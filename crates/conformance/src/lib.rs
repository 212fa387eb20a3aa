#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cases;
pub mod faults;
pub mod fixtures;
mod harness;
pub mod history;
mod macros;
pub mod mocks;
pub mod model;
pub mod state_machine;
pub mod strategies;
pub mod strict;

#[doc(hidden)]
pub use crm_chat_domain as domain;
pub use harness::{
    Abandoned, Harness, Lab, Reply, Subject, abandon_after, perform, perform_through,
};
pub(crate) use harness::{Order, Point, Race, Side};
#[doc(hidden)]
pub use macros::Certain;
pub use macros::{CASES, Case, check};
