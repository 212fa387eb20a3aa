//! Limits on the number of connections, in all and by peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::Reason;
use crate::Options;

/// Admits a bounded number of connections, in all and from one peer. A handle.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    all: Arc<Semaphore>,
    peers: Arc<Peers>,
}

#[derive(Debug)]
struct Peers {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Peers {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // The counts are whole after each statement, so a panic elsewhere does not spoil them.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _all: OwnedSemaphorePermit,
    _peer: PeerPermit,
}

impl ConnectionLimits {
    pub(crate) fn new(options: &Options) -> Self {
        let max = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(max)),
            peers: Arc::new(Peers {
                max: options.max_connections_per_peer.max(1),
                open: Mutex::default(),
            }),
        }
    }

    /// Admits a connection from a peer, or returns the limit that forbids it. Never waits.
    pub(crate) fn try_acquire(&self, peer: IpAddr) -> Result<ConnectionPermit, Reason> {
        let peer = PeerPermit::try_acquire(&self.peers, peer).ok_or(Reason::PeerLimit)?;
        let all = Arc::clone(&self.all).try_acquire_owned();
        Ok(ConnectionPermit { _all: all.map_err(|_| Reason::ConnectionLimit)?, _peer: peer })
    }
}

#[derive(Debug)]
struct PeerPermit {
    peers: Arc<Peers>,
    key: IpAddr,
}

impl PeerPermit {
    fn try_acquire(peers: &Arc<Peers>, peer: IpAddr) -> Option<Self> {
        let key = network_of(peer);
        let mut open = peers.open();
        let count = open.entry(key).or_default();
        // A count is at least 1 if it was there before, so that a refusal leaves no empty entry.
        if *count >= peers.max {
            return None;
        }
        *count += 1;
        Some(Self { peers: Arc::clone(peers), key })
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// Returns the address by which a peer is counted: an IPv4 address, or the /64 network of an IPv6
/// address, because that is what one host is usually given.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_counted_by_address_or_network() {
        for (peer, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            let actual = network_of(peer.parse().expect("an address"));
            assert_eq!(actual.to_string(), expected, "{peer}");
        }
    }

    #[test]
    fn closed_connections_make_room_and_leave_nothing_behind() {
        let options =
            Options { max_connections: 3, max_connections_per_peer: 2, ..Options::default() };
        let limits = ConnectionLimits::new(&options);
        let acquire = |peer: &str| limits.try_acquire(peer.parse().expect("an address"));
        let first = acquire("192.0.2.1").expect("room");
        let second = acquire("192.0.2.1").expect("room");
        assert_eq!(acquire("192.0.2.1").expect_err("full"), Reason::PeerLimit);
        let third = acquire("192.0.2.2").expect("room for another peer");
        let refused = acquire("192.0.2.3").expect_err("full");
        assert_eq!(refused, Reason::ConnectionLimit);
        drop(first);
        let fourth = acquire("192.0.2.1").expect("room again");
        drop((second, third, fourth));
        assert!(limits.peers.open().is_empty());
    }
}
