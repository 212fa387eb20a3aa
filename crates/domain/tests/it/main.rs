//! The laws of the domain, a module for each part of it.
//!
//! Random tests run 256 cases each; `PROPTEST_CASES` sets another number. A failure is printed in its smallest form and
//! kept in `proptest-regressions`, from where it is tried first from then on.

mod batch;
#[cfg(feature = "serde")]
mod edit;
#[cfg(feature = "serde")]
mod examples;
mod explain;
mod ids;
#[cfg(feature = "serde")]
mod json;
mod pages;
mod replay;
#[cfg(feature = "serde")]
mod request;
mod rules;
mod script;
mod snapshot;
mod store_error;
mod table;
mod timestamp;
mod transact;
mod world;
