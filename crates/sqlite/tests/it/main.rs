//! The conformance suite, and what SQLite must do beyond it: files of every sort, several processes, runtimes, kills.

mod concurrency;
mod conformance;
mod examples;
mod files;
mod kill;
mod on_runtimes;
mod remote;
mod runtimes;
mod support;
mod two_processes;
