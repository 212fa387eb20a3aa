//! The listener: its errors, and its end.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::connection::Accepted;

/// The pause after an error that concerns all connections.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The time for which a server that stops waits for handshakes of TCP that have begun.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// The errors of accept(2) that concern one connection, which is gone. Linux also passes on errors
/// of the network that are already pending on the new connection.
const OF_ONE_CONNECTION: [Errno; 14] = [
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

/// Returns whether accepting must pause after an error. Too many open files and too little memory
/// last for a while, and to try again at once would occupy a processor. The same holds for an
/// error that is not known.
pub(super) fn pauses(error: &io::Error) -> bool {
    !Errno::from_io_error(error).is_some_and(|error| OF_ONE_CONNECTION.contains(&error))
}

/// Lets one event a second through, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: Option<Instant>,
    events: u64,
}

impl Throttle {
    /// Counts an event. Returns the number of events since the last one that was let through, if
    /// this one is.
    pub(super) fn pass(&mut self) -> Option<u64> {
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

/// Stops listening, and returns the connections that were established but not yet accepted.
///
/// Closing the socket alone would reset them, after their requests may have been sent.
pub(super) fn drain_backlog(listener: TcpListener) -> Vec<Accepted> {
    let mut backlog = Vec::new();
    // Not through tokio, which may not know yet that there is something to accept.
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
            Err(error) if pauses(&error) => return backlog,
            Err(_) => {}
        }
    }
}

/// Makes the system ignore attempts to connect, so that no connection is established between the
/// last accept(2) and the close. Handshakes that have begun go on: to a distant peer its connection
/// is open a round trip before it can be accepted here. A peer whose attempt is ignored repeats it
/// after a second, and is refused if nothing listens then.
#[cfg(target_os = "linux")]
pub(super) fn ignore_new_connections(listener: &TcpListener) {
    use socket2::SockFilter;

    // A program for classic BPF, which sees a segment from its TCP header on.
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
    // Where filters are forbidden, a moment remains in which a connection can be lost.
    let _ = socket2::SockRef::from(listener).attach_filter(&drop_syn);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ignore_new_connections(_listener: &TcpListener) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_pauses_only_for_errors_of_all_connections() {
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
            assert_eq!(pauses(&error.into()), expected, "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_event_a_second_is_let_through_with_the_number_of_all() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(1));
        assert_eq!(throttle.pass(), None);
        assert_eq!(throttle.pass(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(throttle.pass(), Some(3));
        assert_eq!(throttle.pass(), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_before_the_end_are_accepted_and_later_ones_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let early = TcpStream::connect(address).await.expect("a connection");
        ignore_new_connections(&listener);
        let mut late = std::pin::pin!(TcpStream::connect(address));
        tokio::select! {
            biased;
            connected = &mut late => panic!("the attempt is ignored: {connected:?}"),
            () = tokio::task::yield_now() => {}
        }
        let backlog = drain_backlog(listener);
        let peers: Vec<_> = backlog.iter().map(|accepted| accepted.peer).collect();
        assert_eq!(peers, [early.local_addr().expect("an address")]);
        let error = late.await.expect_err("nothing listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
