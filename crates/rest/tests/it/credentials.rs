//! The laws of credentials, once over every implementation; and what a file of them must do beyond.

mod laws;
mod model;
mod open_files;
mod subjects;

#[cfg(feature = "sqlite")]
mod files;
#[cfg(feature = "sqlite")]
mod processes;
