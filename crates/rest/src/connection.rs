//! One connection, from its first byte to its last.

mod head;
mod limits;
mod metrics;
mod refusal;
mod stall;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::head::{Activity, HeadWatch, Phase};
use self::stall::{StallGuard, WriteStalledError};
use crate::Options;

pub(crate) use self::limits::ConnectionLimits;
pub(crate) use self::metrics::{ConnectionMetrics, Reason};
pub(crate) use self::refusal::Refusal;

/// The longest head that is read, as a multiple of [`Options::max_head`]. What lies between is
/// answered by the app, which says what is wrong.
const HEAD_MARGIN: usize = 4;

/// The most headers of a request.
const MAX_HEADERS: usize = 512;

/// The time after a stop for which an idle connection stays open. A request that was already on
/// its way when the server stopped is answered, rather than cut.
const IDLE_LINGER: Duration = Duration::from_secs(1);

/// The type of the record in which a TLS handshake begins.
const TLS_HANDSHAKE: u8 = 22;

/// The silence after which the system asks a peer whether it is still there, and the interval at
/// which it repeats the question.
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The send buffer of a connection, of which Linux sets aside twice as much. Few answers are longer.
const SEND_BUFFER: usize = 64 << 10;

/// Everything that the connections of a server share.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) options: Options,
    pub(crate) metrics: ConnectionMetrics,
    /// Becomes true when the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
}

impl Connections {
    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, accepted: Accepted, tls: Option<TlsAcceptor>) {
        let Accepted { stream, peer } = accepted;
        let _open = self.metrics.open();
        if let Err(error) = configure(&stream, self.options.write_timeout) {
            // Only a socket that the peer has already reset refuses them, and reading it fails too.
            tracing::debug!(%peer, %error, "cannot set the options of a connection");
        }
        match tls {
            None => self.serve_http(self.guard(stream), peer, false).await,
            Some(acceptor) => self.serve_tls(stream, peer, acceptor).await,
        }
    }

    fn guard(&self, stream: TcpStream) -> StallGuard {
        StallGuard::new(stream, self.options.write_timeout)
    }

    async fn serve_tls(&self, stream: TcpStream, peer: SocketAddr, acceptor: TlsAcceptor) {
        let accepting = async {
            let mut first = [0];
            match stream.peek(&mut first).await? {
                // The peer closed the connection without a word, as a probe of the port does.
                0 => Ok(Handshake::Absent),
                _ if first[0] == TLS_HANDSHAKE => {
                    let stream = acceptor.accept(self.guard(stream)).await?;
                    Ok::<_, io::Error>(Handshake::Done(Box::new(stream)))
                }
                _ => Ok(Handshake::PlainHttp(stream)),
            }
        };
        let handshake = tokio::select! {
            handshake = timeout(self.options.max_time, accepting) => handshake,
            () = self.lingered() => return,
        };
        match handshake {
            Ok(Ok(Handshake::Absent)) => {}
            Ok(Ok(Handshake::Done(stream))) => self.serve_http(stream, peer, true).await,
            Ok(Ok(Handshake::PlainHttp(stream))) => {
                self.report(peer, Reason::PlainHttp, &"plain HTTP instead of TLS");
                Refusal::PLAIN_HTTP.send(stream).await;
            }
            Ok(Err(error)) => self.report(peer, Reason::TlsHandshake, &error),
            Err(elapsed) => self.report(peer, Reason::TlsHandshake, &elapsed),
        }
    }

    /// Answers the requests of one connection.
    async fn serve_http<S>(&self, stream: S, peer: SocketAddr, secure: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::default();
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|mut request: Request<Incoming>| {
            activity.set(Phase::Request);
            request.extensions_mut().insert(ConnectInfo(peer));
            let answering = router.call(request);
            let activity = activity.clone();
            async move {
                let answer = answering.await;
                activity.set(Phase::Idle);
                answer
            }
        });
        let options = &self.options;
        let longest_head = options.max_head.saturating_mul(HEAD_MARGIN).max(8192);
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .half_close(true)
            .header_read_timeout(options.max_time)
            .max_buf_size(longest_head)
            // The buffer alone is not an exact limit: it may be exceeded by the end of a head.
            .max_header_size(longest_head)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(HeadWatch::new(stream, activity.clone())), service);
        let may_close = async {
            self.lingered().await;
            activity.between_heads().await;
        };
        // The connection comes first: it reads what has arrived before it may be closed as idle.
        let served = tokio::select! {
            biased;
            served = &mut connection => Some(served),
            () = may_close => None,
        };
        let served = if let Some(served) = served {
            served
        } else {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        };
        let Err(error) = served else { return };
        let parts = connection.into_parts();
        let (stream, held_back) = parts.io.into_inner().into_parts();
        let unread = parts.read_buf.trim_ascii_start();
        let reason = if WriteStalledError::caused(&error) {
            Reason::WriteTimeout
        } else if error.is_timeout() && !unread.is_empty() {
            Reason::HeadTimeout
        } else if error.is_parse() && !secure && unread.first() == Some(&TLS_HANDSHAKE) {
            Reason::UnexpectedTls
        } else if error.is_parse() || error.is_incomplete_message() {
            Reason::MalformedHead
        } else {
            // An idle connection that has been kept long enough ends here too.
            tracing::debug!(%peer, %error, "connection lost");
            return;
        };
        self.report(peer, reason, &error);
        match reason {
            Reason::HeadTimeout => Refusal::HEAD_TIMEOUT.send(stream).await,
            Reason::MalformedHead => {
                let status = held_back.unwrap_or(StatusCode::BAD_REQUEST);
                Refusal::of_head(status).send(stream).await;
            }
            _ => {}
        }
    }

    /// Counts and logs a connection that is refused or cut.
    fn report(&self, peer: SocketAddr, reason: Reason, cause: &dyn fmt::Display) {
        self.metrics.refused(reason);
        tracing::info!(%peer, reason = reason.name(), %cause, "connection closed");
    }

    /// Waits until the server stops and idle connections may be closed.
    async fn lingered(&self) {
        let mut stopping = self.stopping.clone();
        // Without a server to stop there is nothing to wait for either.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        sleep(IDLE_LINGER.min(self.options.grace / 2)).await;
    }
}

/// The outcome of waiting for a TLS handshake.
enum Handshake {
    Done(Box<TlsStream<StallGuard>>),
    PlainHttp(TcpStream),
    Absent,
}

fn configure(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    // Small answers should not wait for more to send.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // Otherwise the system adjusts it, and may hold 4 MiB of answers for each peer that does not
    // read: memory that the limits of a process count too.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    // Bounds what the system alone still holds, after the connection was closed. It is longer than
    // our own limit, which can report what it cuts.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(write_timeout.saturating_mul(2)))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    Ok(())
}
