//! What the server and its credentials must do.

mod activity;
mod batches;
mod credentials;
mod failing;
mod fuzz;
mod golden;
mod headers;
mod log;
mod openapi;
mod readiness;
mod reading;
mod secrecy;
mod server;
mod support;
mod telemetry;
