//! What the server must do.

mod activity;
mod batches;
mod connections;
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
mod sockets;
mod stopping;
mod support;
mod telemetry;
