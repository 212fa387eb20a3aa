#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod app;
mod authentication;
mod body;
mod connection;
mod external_metric;
mod failure;
mod gate;
mod methods;
mod openapi;
mod options;
mod parameters;
mod pipeline;
mod rate;
mod readiness;
mod reading;
mod server;
mod telemetry;
mod time;
mod tls;
mod value;

pub use app::router;
pub use external_metric::ExternalMetric;
pub use options::Options;
pub use server::{HangupSignal, Server, hangup_signal, stop_signal};
pub use tls::{Tls, TlsError};
