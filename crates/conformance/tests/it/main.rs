//! The kit tested by itself.

mod abandon;
mod broken;
mod faults;
mod list;
mod strict;
mod versions;
