//! What the server and its credentials must do.

mod batches;
mod connections;
mod credentials;
mod failing;
mod fuzz;
mod golden;
mod log;
mod openapi;
mod secrecy;
mod server;
mod sockets;
mod stopping;
mod support;
