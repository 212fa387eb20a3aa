//! What can be set.

use std::time::Duration;

/// The limits of a [`router`](crate::router) and of a [`Server`](crate::Server), each at its default until it is set.
///
/// ```
/// let mut options = crm_chat_rest::Options::default();
/// options.rate_limit = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many bytes the body of a request may have; 1 MiB.
    pub max_body: usize,
    /// How many bytes the address and the headers of a request may have together; 16 KiB.
    pub max_head: usize,
    /// How deep a parameter may be nested; 16.
    pub max_depth: usize,
    /// How many values the parameters of a request may have, nested ones counted; 1000.
    pub max_parameters: usize,
    /// How many calls are worked on at a time; 256. Those beyond are answered `OVERLOAD_LIMIT` at once.
    pub max_calls: usize,
    /// How long a request may take, from its first byte to its answer; 30 seconds.
    pub max_time: Duration,
    /// Whether each credential has a leaky bucket of 50 calls that drains 2 a second; off.
    pub rate_limit: bool,
    /// The most connections that a server keeps open; 4096. Further ones are answered `OVERLOAD_LIMIT` and closed. A
    /// router has none.
    pub max_connections: usize,
    /// How long a server that stops waits for the answers to what it accepted; 10 seconds.
    pub grace: Duration,
    /// The time in which a peer must take some of an answer; 30 seconds. A connection without progress for longer is cut.
    pub write_timeout: Duration,
    /// The most connections that one peer address may keep open; 512. An IPv6 peer is its /64 network. Further ones are
    /// answered `OVERLOAD_LIMIT` and closed.
    pub max_connections_per_peer: usize,
    /// The time for which a server that stops goes on serving while `/readyz` already answers 503, so that a load
    /// balancer can turn to other servers; zero.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body: 1 << 20,
            max_head: 16 << 10,
            max_depth: 16,
            max_parameters: 1000,
            max_calls: 256,
            max_time: Duration::from_secs(30),
            rate_limit: false,
            max_connections: 4096,
            grace: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            max_connections_per_peer: 512,
            drain: Duration::ZERO,
        }
    }
}
