//! The kit tested by itself.

mod broken;
mod faults;
mod list;
mod strict;
mod versions;
