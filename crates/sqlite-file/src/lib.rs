#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backup;
mod error;
mod file;
mod identity;
mod probe;
mod schema;

pub use backup::backup;
pub use error::{ResultExt, corrupt, is_busy};
pub use file::{DatabaseFile, OpenOptions, configure};
pub use schema::{FilePermissions, Schema};
