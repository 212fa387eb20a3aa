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

#[doc(hidden)]
pub use crm_chat_domain as domain;
pub use harness::{
    Abandoned, Harness, Lab, Order, Point, Race, Reply, Side, Subject, abandon_after, perform,
};
#[doc(hidden)]
pub use macros::Certain;
pub use macros::{CASES, Case, check};
