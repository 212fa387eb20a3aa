#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod history;
pub mod mocks;
pub mod model;
pub mod state_machine;
pub mod strategies;
