#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod mocks;
pub mod model;
pub mod state_machine;
pub mod strategies;
