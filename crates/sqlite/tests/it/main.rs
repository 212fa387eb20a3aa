//! The conformance suite, and the requirements specific to SQLite: files, processes, runtimes and
//! kills.

mod backup;
mod concurrency;
mod conformance;
mod examples;
mod files;
mod kill;
mod log;
mod on_runtimes;
mod open_files;
mod reads;
mod remote;
mod runtimes;
mod support;
mod two_processes;
