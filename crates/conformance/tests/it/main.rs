//! Tests of the suite and the kit themselves.

mod cancellation;
mod differential;
mod faults;
mod flaws;
mod registry;
mod strict;
mod versions;
