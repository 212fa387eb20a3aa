//! The conformance suite, and what SQLite must do beyond it: files of every sort, several processes, runtimes, kills.

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
