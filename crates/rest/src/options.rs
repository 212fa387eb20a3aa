//! Limits, timeouts and switches.

use std::time::Duration;

use crate::ExternalMetric;

/// Configuration of a [`router`](crate::router()) or a [`Server`](crate::Server). Each field starts
/// at the default that its documentation names.
///
/// ```
/// let mut options = crm_chat_rest::Options::default();
/// options.rate_limit = true;
/// ```
// Non-exhaustive, so that a new option does not break embedders.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Maximum size of a request body in bytes; 1 MiB.
    pub max_body: usize,
    /// Maximum size of a request body in bytes if the head carries no credentials; 64 KiB. Never
    /// more than [`max_body`](Self::max_body). The token may follow in the body, so the server
    /// reads this much from any client.
    pub max_unauthenticated_body: usize,
    /// Maximum number of bytes of all request bodies together, from their arrival until their
    /// requests are answered; 64 MiB.
    ///
    /// One eighth is reserved for requests without credentials in the head and the rest for all
    /// others, so that neither kind can crowd out the other. If there is no room, the server gives
    /// up the body that has been arriving for longest and answers `OVERLOAD_LIMIT`. Each of the
    /// two shares should have room for several bodies of the maximum size.
    pub max_buffered_body_bytes: usize,
    /// Maximum time for a body to arrive; 10 seconds.
    pub body_timeout: Duration,
    /// Minimum average rate at which a body must arrive, in bytes per second, enforced after its
    /// first two seconds; 1 KiB. 0 disables the check.
    pub min_body_rate: u32,
    /// Maximum size of a request's target and headers together, in bytes; 16 KiB.
    pub max_head: usize,
    /// Maximum nesting depth of a parameter; 16.
    pub max_depth: usize,
    /// Maximum number of values in the parameters of a request, including nested ones; 1000.
    pub max_parameters: usize,
    /// Maximum number of requests processed at the same time; 256. Further requests are answered
    /// `OVERLOAD_LIMIT` at once. A request counts once it has arrived completely and its
    /// credentials have been verified. A batch counts as one request.
    pub max_concurrent_requests: usize,
    /// Maximum time from the first byte of a request to its response; 30 seconds.
    pub request_timeout: Duration,
    /// Limits each credential by a leaky bucket of 50 requests that drains 2 a second; off. A
    /// batch counts as one request, and each process counts separately.
    pub rate_limit: bool,
    /// Logs the last address of the header `X-Forwarded-For` as the peer; off. Enable it only
    /// behind a proxy that sets or extends the header. Otherwise clients can forge it.
    pub trust_forwarded: bool,
    /// Metrics of the embedding program that `/metrics` shows next to its own; none.
    pub metrics: Vec<ExternalMetric>,
    /// Maximum number of open connections of a server; 4096. Further connections are answered
    /// `OVERLOAD_LIMIT` and closed. A router does not use this limit.
    pub max_connections: usize,
    /// Maximum time for which a server that shuts down waits for the responses to the requests it
    /// has accepted; 10 seconds.
    pub shutdown_timeout: Duration,
    /// Maximum time without progress while a response is sent; 30 seconds. After that the
    /// connection is reset.
    pub write_timeout: Duration,
    /// Maximum number of open connections of one peer address; 512. IPv6 peers are counted by
    /// their /64 network. Further connections are answered `OVERLOAD_LIMIT` and closed.
    pub max_connections_per_peer: usize,
    /// Time for which a server that shuts down continues to serve while `/readyz` already answers
    /// 503, so that a load balancer can turn to other servers; zero.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body: 1 << 20,
            max_unauthenticated_body: 64 << 10,
            max_buffered_body_bytes: 64 << 20,
            body_timeout: Duration::from_secs(10),
            min_body_rate: 1 << 10,
            max_head: 16 << 10,
            max_depth: 16,
            max_parameters: 1000,
            max_concurrent_requests: 256,
            request_timeout: Duration::from_secs(30),
            rate_limit: false,
            trust_forwarded: false,
            metrics: Vec::new(),
            max_connections: 4096,
            shutdown_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            max_connections_per_peer: 512,
            drain: Duration::ZERO,
        }
    }
}
