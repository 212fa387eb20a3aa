//! Integration tests of the router and the server.

mod activity;
mod batches;
mod bodies;
mod connections;
mod failing;
mod fuzz;
mod golden;
mod headers;
mod log;
mod openapi;
mod readiness;
mod secrecy;
mod server;
mod shutdown;
mod sockets;
mod support;
mod telemetry;
