//! The laws of the ports, for every implementation, and the requirements on a file of credentials.

mod laws;
mod model;
mod subjects;

#[cfg(feature = "sqlite")]
mod files;
#[cfg(all(unix, feature = "sqlite"))]
mod open_files;
#[cfg(feature = "sqlite")]
mod processes;
