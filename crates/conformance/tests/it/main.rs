//! The kit tested by itself.

mod broken;
mod list;
mod versions;
