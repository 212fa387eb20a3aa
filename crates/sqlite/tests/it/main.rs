//! What SQLite must do beyond the conformance suite: files of every sort, several connections and processes, runtimes.

mod concurrency;
mod examples;
mod files;
mod kill;
mod remote;
mod runtimes;
mod support;
