//! The program as its user meets it: every test runs the real binary on a real file.

mod answers;
mod apply;
mod backup;
mod credentials;
mod documents;
mod edits;
mod io_faults;
mod kill;
mod log;
mod logging;
mod place;
mod replaced_files;
mod serve;
mod serving;
mod slow_peers;
mod two_servers;
mod usage;
