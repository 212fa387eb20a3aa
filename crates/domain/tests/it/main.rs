//! Tests of the domain, one module for each part of it.
//!
//! Use `PROPTEST_CASES=10000` to increase the number of cases that each property test runs; the
//! default is 256. A failure is printed in its smallest form and saved in `proptest-regressions`;
//! later runs try the saved cases first.

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
