//! End-to-end tests: each runs the real binary on a store file of its own.

mod apply;
mod backup;
mod credentials;
mod edit;
mod import_export;
mod io_faults;
mod kill;
mod log;
mod remove_explain_log;
mod replaced_files;
mod serve;
mod server_log;
mod server_process;
mod slow_peers;
mod support;
mod two_servers;
mod usage;
