//! Limits and switches.

use std::time::Duration;

use crate::ExternalMetric;

/// The limits of a [`router`](crate::router) and of a [`Server`](crate::Server), each at its
/// default until it is set.
///
/// ```
/// let mut options = crm_chat_rest::Options::default();
/// options.rate_limit = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The number of bytes that the body of a request may have; 1 MiB.
    pub max_body: usize,
    /// The number of bytes that the body may have if the head has no credentials; 64 KiB, and never
    /// more than [`max_body`](Self::max_body). The token may follow in the body, so this much is
    /// read from anybody.
    pub max_unauthenticated_body: usize,
    /// The number of bytes that all bodies may take together, from their arrival until their
    /// requests are answered; 64 MiB. An eighth of it is for bodies whose head has no credentials,
    /// the rest for all others, so that neither crowd out the other. Where there is no room, the
    /// body that has been arriving for longest is given up and answered `OVERLOAD_LIMIT`. Each of
    /// the two shares should have room for several bodies of the greatest length.
    pub max_reading_bytes: usize,
    /// The time in which a body must arrive; 10 seconds.
    pub body_timeout: Duration,
    /// The number of bytes a second at which a body must arrive, on average since its third second;
    /// 1 KiB. 0 turns it off.
    pub min_body_rate: u32,
    /// The number of bytes that the address and the headers of a request may have together; 16 KiB.
    pub max_head: usize,
    /// The depth to which a parameter may be nested; 16.
    pub max_depth: usize,
    /// The number of values that the parameters of a request may have, nested ones counted; 1000.
    pub max_parameters: usize,
    /// The number of calls that are worked on at a time; 256. Those beyond are answered
    /// `OVERLOAD_LIMIT` at once. A call counts once all of it has arrived and its credentials are
    /// good; a batch is one call.
    pub max_calls: usize,
    /// The time that a request may take, from its first byte to its answer; 30 seconds.
    pub max_time: Duration,
    /// Holds each credential to a leaky bucket of 50 calls that drains 2 a second; off. A batch is
    /// one call, and each process counts for itself.
    pub rate_limit: bool,
    /// Logs the last address of the header `X-Forwarded-For` as the peer; off. Turn it on only
    /// behind a proxy that sets or extends the header: anybody else can write it.
    pub trust_forwarded: bool,
    /// Figures of the embedding program, shown by `/metrics` among the others; none.
    pub metrics: Vec<ExternalMetric>,
    /// The most connections that a server keeps open; 4096. Further ones are answered
    /// `OVERLOAD_LIMIT` and closed. A router has none.
    pub max_connections: usize,
    /// How long a server that stops waits for the answers to what it accepted; 10 seconds.
    pub grace: Duration,
    /// The time in which a peer must take some of an answer; 30 seconds. A connection without
    /// progress for longer is reset.
    pub write_timeout: Duration,
    /// The most connections that one peer address may keep open; 512. An IPv6 peer is counted by its
    /// /64 network. Further ones are answered `OVERLOAD_LIMIT` and closed.
    pub max_connections_per_peer: usize,
    /// The time for which a server that stops goes on serving while `/readyz` already answers 503,
    /// so that a load balancer can turn to other servers; zero.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body: 1 << 20,
            max_unauthenticated_body: 64 << 10,
            max_reading_bytes: 64 << 20,
            body_timeout: Duration::from_secs(10),
            min_body_rate: 1 << 10,
            max_head: 16 << 10,
            max_depth: 16,
            max_parameters: 1000,
            max_calls: 256,
            max_time: Duration::from_secs(30),
            rate_limit: false,
            trust_forwarded: false,
            metrics: Vec::new(),
            max_connections: 4096,
            grace: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            max_connections_per_peer: 512,
            drain: Duration::ZERO,
        }
    }
}
