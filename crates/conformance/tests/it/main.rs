//! The kit tested by itself.

mod abandon;
mod broken;
mod differential;
mod faults;
mod list;
mod strict;
mod versions;
