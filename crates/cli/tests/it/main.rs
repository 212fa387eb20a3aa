//! The program as its user meets it: every test runs the real binary on a real file.

mod answers;
mod apply;
mod credentials;
mod documents;
mod edits;
mod io_faults;
mod kill;
mod place;
mod serve;
mod usage;
