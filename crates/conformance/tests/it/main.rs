//! The kit tested by itself.

mod list;
