//! Serves one connection, from the TLS handshake to the last response.

mod early_response;
mod head;
mod limits;
mod metrics;
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

pub(crate) use self::early_response::EarlyResponse;
pub(crate) use self::limits::ConnectionLimits;
pub(crate) use self::metrics::{CloseReason, ConnectionMetrics};

/// The maximum size of a head that is read, as a multiple of [`Options::max_head`]. Heads between
/// the two limits reach the pipeline, which can answer with a precise description.
const HEAD_MARGIN: usize = 4;

/// The maximum number of headers of a request.
const MAX_HEADERS: usize = 512;

/// The time for which idle connections stay open after the start of a shutdown. A request that is
/// already on its way then gets a response instead of a reset.
const IDLE_LINGER: Duration = Duration::from_secs(1);

/// The record type in the first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 22;

/// The idle time before the system sends the first TCP keep-alive probe.
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);

/// The interval between TCP keep-alive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The size of a connection's send buffer, for which Linux reserves twice as much. Few responses
/// are longer.
const SEND_BUFFER: usize = 64 << 10;

/// The state that all connections of a server share.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) options: Options,
    pub(crate) metrics: ConnectionMetrics,
    /// Becomes `true` when the server starts to shut down.
    pub(crate) shutting_down: watch::Receiver<bool>,
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
}

impl Connections {
    /// Serves a connection until it is closed.
    pub(crate) async fn serve(&self, accepted: Accepted, tls: Option<TlsAcceptor>) {
        let Accepted { stream, peer } = accepted;
        let _open = self.metrics.open();
        if let Err(error) = configure(&stream, self.options.write_timeout) {
            // This happens only if the peer has already reset the connection. Reading fails then,
            // too.
            tracing::debug!(%peer, %error, "cannot configure the connection");
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
                // The peer closed the connection without sending anything, as port scanners do.
                0 => Ok(Handshake::Absent),
                _ if first[0] == TLS_HANDSHAKE => {
                    let stream = acceptor.accept(self.guard(stream)).await?;
                    Ok::<_, io::Error>(Handshake::Done(Box::new(stream)))
                }
                _ => Ok(Handshake::PlainHttp(stream)),
            }
        };
        let handshake = tokio::select! {
            handshake = timeout(self.options.request_timeout, accepting) => handshake,
            () = self.idle_connections_expired() => return,
        };
        match handshake {
            Ok(Ok(Handshake::Absent)) => {}
            Ok(Ok(Handshake::Done(stream))) => self.serve_http(stream, peer, true).await,
            Ok(Ok(Handshake::PlainHttp(stream))) => {
                self.report(peer, CloseReason::PlainHttp, &"plain HTTP instead of TLS");
                EarlyResponse::PLAIN_HTTP.send(stream).await;
            }
            Ok(Err(error)) => self.report(peer, CloseReason::TlsHandshake, &error),
            Err(elapsed) => self.report(peer, CloseReason::TlsHandshake, &elapsed),
        }
    }

    /// Serves the requests of a connection.
    async fn serve_http<S>(&self, stream: S, peer: SocketAddr, secure: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::default();
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|mut request: Request<Incoming>| {
            activity.set(Phase::Request);
            request.extensions_mut().insert(ConnectInfo(peer));
            let responding = router.call(request);
            let activity = activity.clone();
            async move {
                let response = responding.await;
                activity.set(Phase::Idle);
                response
            }
        });
        let options = &self.options;
        let longest_head = options.max_head.saturating_mul(HEAD_MARGIN).max(8192);
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client that closes only its sending side still gets the response.
            .half_close(true)
            .header_read_timeout(options.request_timeout)
            .max_buf_size(longest_head)
            // The buffer size alone is not an exact limit: the end of a head may exceed it.
            .max_header_size(longest_head)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(HeadWatch::new(stream, activity.clone())), service);
        let may_close = async {
            self.idle_connections_expired().await;
            activity.between_heads().await;
        };
        // Poll the connection first, so that a request that has already arrived is read before the
        // connection is closed as idle.
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
        let (stream, suppressed) = parts.io.into_inner().into_parts();
        let Some(reason) = close_reason(&error, &parts.read_buf, secure) else {
            // This includes idle connections that reached the timeout.
            tracing::debug!(%peer, %error, "connection lost");
            return;
        };
        self.report(peer, reason, &error);
        match reason {
            CloseReason::HeadTimeout => EarlyResponse::HEAD_TIMEOUT.send(stream).await,
            CloseReason::MalformedHead => {
                let status = suppressed.unwrap_or(StatusCode::BAD_REQUEST);
                EarlyResponse::of_head(status).send(stream).await;
            }
            _ => {}
        }
    }

    /// Counts and logs a connection that the server closes because of an error.
    fn report(&self, peer: SocketAddr, reason: CloseReason, cause: &dyn fmt::Display) {
        self.metrics.closed(reason);
        tracing::info!(%peer, reason = reason.name(), %cause, "connection closed");
    }

    /// Waits until a shutdown closes idle connections.
    async fn idle_connections_expired(&self) {
        let mut shutting_down = self.shutting_down.clone();
        // An error means that the server is gone, which ends the wait as well.
        let _ = shutting_down.wait_for(|shutting_down| *shutting_down).await;
        sleep(IDLE_LINGER.min(self.options.shutdown_timeout / 2)).await;
    }
}

/// Returns the reason for which an error closes a connection, or `None` if the server is not
/// responsible. `unread` are the bytes that hyper has received but not consumed.
fn close_reason(error: &hyper::Error, unread: &[u8], secure: bool) -> Option<CloseReason> {
    // Clients may send line breaks between requests, so these do not start a head.
    let unread = unread.trim_ascii_start();
    if WriteStalledError::caused(error) {
        Some(CloseReason::WriteTimeout)
    } else if error.is_timeout() && !unread.is_empty() {
        Some(CloseReason::HeadTimeout)
    } else if error.is_parse() && !secure && unread.first() == Some(&TLS_HANDSHAKE) {
        Some(CloseReason::UnexpectedTls)
    } else if error.is_parse() || error.is_incomplete_message() {
        Some(CloseReason::MalformedHead)
    } else {
        None
    }
}

/// The outcome of a TLS handshake.
enum Handshake {
    Done(Box<TlsStream<StallGuard>>),
    PlainHttp(TcpStream),
    Absent,
}

fn configure(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    // Small responses should be sent at once instead of waiting for more data.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // By default the system adjusts the buffer, and may hold 4 MiB of responses for each peer that
    // does not read. The memory limits of a process include this memory.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    // Limits how long the system keeps unsent data after the connection is closed. It is longer
    // than our own limit, which can report the connections that it aborts.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(write_timeout.saturating_mul(2)))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    Ok(())
}
