#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("crm-chat-rest requires a Unix system");

mod authentication;
mod body;
mod concurrency;
mod connection;
mod error;
pub mod guide;
mod methods;
mod openapi;
mod options;
mod params;
mod pipeline;
mod probes;
mod rate_limit;
mod response;
mod route;
mod router;
mod server;
mod telemetry;
mod time;
mod tls;

pub use options::Options;
pub use router::router;
pub use server::{HangupSignal, Server, hangup_signal, shutdown_signal};
pub use telemetry::ExternalMetric;
pub use tls::{Tls, TlsError};
