//! Errors and shutdown of the listener.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::connection::Accepted;

/// The pause after an error that affects all connections.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The time for which a shutdown waits for TCP handshakes that have already started.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(100);

/// The errors of accept(2) that affect only one connection, which is lost. Linux also reports
/// network errors that are already pending on the new connection.
const CONNECTION_ERRORS: [Errno; 14] = [
    Errno::CONNABORTED,
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::INTR,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::NOPROTOOPT,
    Errno::OPNOTSUPP,
    Errno::PERM,
    Errno::PIPE,
    Errno::PROTO,
    Errno::TIMEDOUT,
];

/// Returns `true` if accepting must pause after an error.
///
/// A lack of file descriptors or memory persists for a while, and retrying at once would occupy a
/// processor. Unknown errors are treated in the same way.
pub(super) fn must_pause(error: &io::Error) -> bool {
    !Errno::from_io_error(error).is_some_and(|error| CONNECTION_ERRORS.contains(&error))
}

/// Limits the logging of an event to once a second, and counts the events in between.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<Instant>,
    events: u64,
}

impl Throttle {
    /// Records an event. If it should be logged, returns the number of events since the last one
    /// that was logged, including this one.
    pub(super) fn record(&mut self) -> Option<u64> {
        self.events += 1;
        let now = Instant::now();
        let recent = self.last.is_some_and(|last| now - last < Duration::from_secs(1));
        if recent {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.events))
    }
}

/// Stops listening and returns the connections that are established but not accepted yet.
///
/// Merely closing the socket would reset them although their requests may have been sent.
pub(super) fn drain_backlog(listener: TcpListener) -> Vec<Accepted> {
    let mut backlog = Vec::new();
    // Bypass tokio, whose reactor may not have noticed the latest connections yet.
    let Ok(listener) = listener.into_std() else {
        return backlog;
    };
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                let nonblocking = stream.set_nonblocking(true);
                if let Ok(stream) = nonblocking.and_then(|()| TcpStream::from_std(stream)) {
                    backlog.push(Accepted { stream, peer });
                }
            }
            Err(error) if must_pause(&error) => return backlog,
            Err(_) => {}
        }
    }
}

/// Makes the system ignore connection attempts, so that no connection is established between the
/// last accept(2) and the close.
///
/// Handshakes that have already started continue: for a distant peer, the connection is open a
/// round trip before it can be accepted here. A peer whose attempt is ignored retries after a
/// second, and is refused if the port is closed by then.
#[cfg(target_os = "linux")]
pub(super) fn ignore_new_connections(listener: &TcpListener) {
    use socket2::SockFilter;

    // A classic BPF program. Its input starts at the TCP header.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    let drop_syn = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    // If filters are forbidden, a brief window remains in which a connection can be lost.
    let _ = socket2::SockRef::from(listener).attach_filter(&drop_syn);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ignore_new_connections(_listener: &TcpListener) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_pauses_only_after_errors_that_affect_all_connections() {
        for (error, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::BADF, true),
            (Errno::CONNABORTED, false),
            (Errno::CONNRESET, false),
            (Errno::PROTO, false),
            (Errno::NETUNREACH, false),
        ] {
            assert_eq!(must_pause(&error.into()), expected, "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttle_logs_one_event_per_second_with_the_number_of_events() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.record(), Some(1));
        assert_eq!(throttle.record(), None);
        assert_eq!(throttle.record(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(throttle.record(), Some(3));
        assert_eq!(throttle.record(), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn backlog_is_accepted_and_later_connections_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let early = TcpStream::connect(address).await.expect("a connection");
        ignore_new_connections(&listener);
        let mut late = std::pin::pin!(TcpStream::connect(address));
        tokio::select! {
            biased;
            connected = &mut late => panic!("the attempt is not ignored: {connected:?}"),
            () = tokio::task::yield_now() => {}
        }
        let backlog = drain_backlog(listener);
        let peers: Vec<_> = backlog.iter().map(|accepted| accepted.peer).collect();
        assert_eq!(peers, [early.local_addr().expect("an address")]);
        let error = late.await.expect_err("the port is closed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
