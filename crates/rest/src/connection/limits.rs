//! Limits on the number of connections, in total and per peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::CloseReason;
use crate::Options;

/// Bounds the number of connections, in total and per peer. Cloning returns another handle to the
/// same limits.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    total: Arc<Semaphore>,
    peers: Arc<Peers>,
}

#[derive(Debug)]
struct Peers {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Peers {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // A poisoned lock is fine: the counts are consistent after each statement.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permit for one connection, held until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _total: OwnedSemaphorePermit,
    _peer: PeerPermit,
}

impl ConnectionLimits {
    pub(crate) fn new(options: &Options) -> Self {
        let max = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            total: Arc::new(Semaphore::new(max)),
            peers: Arc::new(Peers {
                max: options.max_connections_per_peer.max(1),
                open: Mutex::default(),
            }),
        }
    }

    /// Returns a permit for a connection from a peer, or the limit that is reached. Never waits.
    pub(crate) fn try_acquire(&self, peer: IpAddr) -> Result<ConnectionPermit, CloseReason> {
        let peer = PeerPermit::try_acquire(&self.peers, peer).ok_or(CloseReason::PeerLimit)?;
        let total = Arc::clone(&self.total).try_acquire_owned();
        Ok(ConnectionPermit {
            _total: total.map_err(|_| CloseReason::ConnectionLimit)?,
            _peer: peer,
        })
    }
}

#[derive(Debug)]
struct PeerPermit {
    peers: Arc<Peers>,
    key: IpAddr,
}

impl PeerPermit {
    fn try_acquire(peers: &Arc<Peers>, peer: IpAddr) -> Option<Self> {
        let key = peer_key(peer);
        let mut open = peers.open();
        let count = open.entry(key).or_default();
        // An existing count is at least 1 and the maximum is too, so this leaves no entry with 0.
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
/// address, because a single host is usually assigned a whole /64 network.
fn peer_key(peer: IpAddr) -> IpAddr {
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
    fn ipv4_peers_are_counted_by_address_and_ipv6_peers_by_network() {
        for (peer, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            let actual = peer_key(peer.parse().expect("an address"));
            assert_eq!(actual.to_string(), expected, "{peer}");
        }
    }

    #[test]
    fn closed_connections_release_their_permits_and_counts() {
        let options =
            Options { max_connections: 3, max_connections_per_peer: 2, ..Options::default() };
        let limits = ConnectionLimits::new(&options);
        let acquire = |peer: &str| limits.try_acquire(peer.parse().expect("an address"));
        let first = acquire("192.0.2.1").expect("room");
        let second = acquire("192.0.2.1").expect("room");
        assert_eq!(acquire("192.0.2.1").expect_err("full"), CloseReason::PeerLimit);
        let third = acquire("192.0.2.2").expect("room for another peer");
        let refused = acquire("192.0.2.3").expect_err("full");
        assert_eq!(refused, CloseReason::ConnectionLimit);
        drop(first);
        let fourth = acquire("192.0.2.1").expect("room again");
        drop((second, third, fourth));
        assert!(limits.peers.open().is_empty());
    }
}
