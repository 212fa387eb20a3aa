//! The REST method on the wire.

mod batches;
mod credentials;
mod fuzz;
mod golden;
mod support;
