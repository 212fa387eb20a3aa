//! The requirements on every implementation, and those on a file of credentials.

#[cfg(feature = "sqlite")]
mod files;
mod laws;
mod model;
#[cfg(all(unix, feature = "sqlite"))]
mod open_files;
#[cfg(feature = "sqlite")]
mod processes;
mod support;
