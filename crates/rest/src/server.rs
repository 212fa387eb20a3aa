//! A server that is ready to use: TLS, connection limits and graceful shutdown.

mod accept;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use crm_chat_credentials::Credentials;
use crm_chat_domain::Store;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use self::accept::{Throttle, drain_backlog, ignore_new_connections, must_pause};
use crate::concurrency::ConcurrencyLimit;
use crate::connection::{
    Accepted, ConnectionLimits, ConnectionMetrics, Connections, EarlyResponse,
};
use crate::router::App;
use crate::{Options, Tls};

/// The maximum number of connections beyond the limit that receive an error response at the same
/// time. Further ones are closed without a response.
const MAX_REFUSALS: usize = 64;

/// Serves the methods over HTTP/1.1, with or without TLS. Requires a Unix system.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    concurrency: ConcurrencyLimit,
    tls: Option<Tls>,
    options: Options,
    metrics: ConnectionMetrics,
}

impl Server {
    /// Starts to listen on an address. Connections are accepted once [`run`](Self::run) is called.
    ///
    /// # Errors
    /// [`io::Error`] if the server cannot listen on the address.
    pub async fn bind<S: Store + 'static, C: Credentials>(
        address: impl ToSocketAddrs,
        store: S,
        credentials: C,
        options: Options,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let mut app = App::new(store, credentials, options.clone());
        let metrics = ConnectionMetrics::default();
        metrics.register(app.registry());
        Ok(Self {
            listener,
            concurrency: app.concurrency.clone(),
            router: app.into_router(),
            tls: None,
            metrics,
            options,
        })
    }

    /// Enables TLS. A clone of `tls` can [reload](Tls::reload) the files while the server runs.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Returns the address that the server listens on.
    ///
    /// # Errors
    /// [`io::Error`] if the operating system cannot provide it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` completes, for example [`shutdown_signal`], and then shuts down
    /// gracefully.
    ///
    /// For the time [`Options::drain`], `/readyz` answers 503 while everything else is served as
    /// before. After that, requests in flight are completed, and new requests are answered
    /// `OVERLOAD_LIMIT`, including those on connections in the backlog of the operating system.
    /// Connections that are not finished within [`Options::shutdown_timeout`] are aborted.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (shutting_down, shutdown_started) = watch::channel(false);
        let connections = Connections {
            router: self.router,
            options: self.options.clone(),
            metrics: self.metrics,
            shutting_down: shutdown_started,
        };
        let mut acceptor = Acceptor {
            limits: ConnectionLimits::new(&self.options),
            refusal_permits: Arc::new(Semaphore::new(MAX_REFUSALS)),
            tls: self.tls,
            connections: Arc::new(connections),
            tasks: JoinSet::new(),
            accept_errors: Throttle::default(),
            refusals: Throttle::default(),
        };
        let Options { drain, shutdown_timeout, .. } = self.options;
        acceptor.accept_until(&self.listener, shutdown).await;

        if !drain.is_zero() {
            tracing::info!(?drain, "server draining");
            self.concurrency.start_draining();
            acceptor.accept_until(&self.listener, sleep(drain)).await;
        }

        let deadline = Instant::now() + shutdown_timeout;
        tracing::info!(in_flight = self.concurrency.in_flight(), "server shutting down");
        self.concurrency.close();
        shutting_down.send_replace(true);
        // Keep accepting until all requests in flight are done. Clients that connect meanwhile
        // receive `OVERLOAD_LIMIT` instead of a reset.
        let drained = timeout_at(deadline, self.concurrency.drained());
        let _ = acceptor.accept_until(&self.listener, drained).await;
        // Then no connection may be established that would not be accepted any more. Handshakes
        // that have already started need a moment to complete.
        ignore_new_connections(&self.listener);
        let settled = sleep(accept::SETTLE_TIME.min(shutdown_timeout / 4));
        acceptor.accept_until(&self.listener, settled).await;
        for accepted in drain_backlog(self.listener) {
            acceptor.admit(accepted);
        }

        let mut tasks = acceptor.tasks;
        let joined = async { while tasks.join_next().await.is_some() {} };
        let finished = timeout_at(deadline, joined).await;
        let aborted_connections = finished.is_err().then_some(tasks.len());
        tasks.shutdown().await;
        tracing::info!(aborted_connections, "server stopped");
    }
}

/// Accepts connections and spawns a task for each.
struct Acceptor {
    limits: ConnectionLimits,
    refusal_permits: Arc<Semaphore>,
    tls: Option<Tls>,
    connections: Arc<Connections>,
    tasks: JoinSet<()>,
    accept_errors: Throttle,
    refusals: Throttle,
}

impl Acceptor {
    /// Accepts and serves connections until `end` completes.
    async fn accept_until<T>(&mut self, listener: &TcpListener, end: impl Future<Output = T>) -> T {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(Accepted { stream, peer }),
                    Err(error) if must_pause(&error) => {
                        if let Some(errors) = self.accept_errors.record() {
                            tracing::warn!(%error, errors, "cannot accept connections");
                        }
                        tokio::select! {
                            ended = &mut end => return ended,
                            () = sleep(accept::PAUSE) => {}
                        }
                    }
                    Err(error) => tracing::debug!(%error, "connection lost before it was accepted"),
                },
                // Reap finished tasks, which would otherwise accumulate.
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Serves a connection, or refuses it if a limit is reached. Never waits for other connections,
    /// so that no peer can keep the server from accepting.
    fn admit(&mut self, accepted: Accepted) {
        let connections = Arc::clone(&self.connections);
        connections.metrics.accepted();
        let peer = accepted.peer;
        match self.limits.try_acquire(peer.ip()) {
            Ok(permit) => {
                let acceptor = self.tls.as_ref().map(Tls::acceptor);
                self.tasks.spawn(async move {
                    let _permit = permit;
                    connections.serve(accepted, acceptor).await;
                });
            }
            Err(reason) => {
                connections.metrics.closed(reason);
                // Refused peers may reconnect at once and often, so the log is throttled.
                if let Some(connections) = self.refusals.record() {
                    let reason = reason.name();
                    tracing::info!(%peer, reason, connections, "connection closed");
                }
                // With TLS, a response would need a handshake, which costs more than it helps.
                if self.tls.is_some() {
                    return;
                }
                if let Ok(permit) = Arc::clone(&self.refusal_permits).try_acquire_owned() {
                    self.tasks.spawn(async move {
                        let _permit = permit;
                        EarlyResponse::OVERLOADED.send_after_request(accepted.stream).await;
                    });
                }
            }
        }
    }
}

/// Returns a future that completes on SIGINT or SIGTERM. The handlers are installed immediately.
///
/// # Errors
/// [`io::Error`] if the signal handlers cannot be installed.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Installs a handler for SIGHUP, which no longer terminates the process from then on.
///
/// # Errors
/// [`io::Error`] if the signal handler cannot be installed.
pub fn hangup_signal() -> io::Result<HangupSignal> {
    signal(SignalKind::hangup()).map(HangupSignal)
}

/// SIGHUP, which conventionally asks a server to reload its files.
#[derive(Debug)]
pub struct HangupSignal(Signal);

impl HangupSignal {
    /// Waits for the next SIGHUP.
    pub async fn received(&mut self) {
        // The stream of a signal never ends.
        let _ = self.0.recv().await;
    }
}
