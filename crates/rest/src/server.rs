//! A server with sensible defaults.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use crm_chat_domain::Store;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use self::accept::{Throttle, drain_backlog, ignore_new_connections, pauses};
use crate::app::App;
use crate::connection::{Accepted, ConnectionLimits, ConnectionMetrics, Connections, Refusal};
use crate::gate::Gate;
use crate::{Options, Tls};
use crm_chat_credentials::Credentials;

mod accept;

/// The most connections that are being refused at a time. Further ones are closed at once.
const MAX_SHEDDING: usize = 64;

/// Serves the methods over HTTP/1.1, with TLS or without.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    gate: Gate,
    tls: Option<Tls>,
    options: Options,
    metrics: ConnectionMetrics,
}

impl Server {
    /// Begins to listen. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// [`io::Error`] if the address cannot be listened at.
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
            gate: app.gate(),
            router: app.into_router(),
            tls: None,
            metrics,
            options,
        })
    }

    /// Speaks TLS. A clone of `tls` may [reload](Tls::reload) its files while the server runs.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Returns the address listened at.
    ///
    /// # Errors
    /// [`io::Error`] if the system does not return it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, such as [`stop_signal`], and then shuts down gracefully.
    ///
    /// For [`Options::drain`], `/readyz` answers 503 and everything else is served as before. Then
    /// calls at work are answered, and calls that still arrive are answered `OVERLOAD_LIMIT`, also
    /// those of connections that the system has already accepted. What is not done within
    /// [`Options::grace`] is cut.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let (stopping, stopped) = watch::channel(false);
        let connections = Connections {
            router: self.router,
            options: self.options.clone(),
            metrics: self.metrics,
            stopping: stopped,
        };
        let mut acceptor = Acceptor {
            limits: ConnectionLimits::new(&self.options),
            shedding: Arc::new(Semaphore::new(MAX_SHEDDING)),
            tls: self.tls,
            connections: Arc::new(connections),
            tasks: JoinSet::new(),
            failures: Throttle::default(),
            refusals: Throttle::default(),
        };
        let Options { drain, grace, .. } = self.options;
        acceptor.accept_until(&self.listener, stop).await;

        if !drain.is_zero() {
            tracing::info!(?drain, "draining");
            self.gate.drain();
            acceptor.accept_until(&self.listener, sleep(drain)).await;
        }

        let end = Instant::now() + grace;
        tracing::info!(calls = self.gate.inside(), "stopping");
        self.gate.close();
        stopping.send_replace(true);
        let done = timeout_at(end, self.gate.empty());
        let _ = acceptor.accept_until(&self.listener, done).await;
        ignore_new_connections(&self.listener);
        let settled = sleep(accept::SETTLE.min(grace / 4));
        acceptor.accept_until(&self.listener, settled).await;
        for accepted in drain_backlog(self.listener) {
            acceptor.admit(accepted);
        }

        let mut tasks = acceptor.tasks;
        let joined = async { while tasks.join_next().await.is_some() {} };
        let stopped = timeout_at(end, joined).await;
        let cut = stopped.is_err().then_some(tasks.len());
        tasks.shutdown().await;
        tracing::info!(cut, "stopped");
    }
}

/// Accepts connections, and starts a task for each.
struct Acceptor {
    limits: ConnectionLimits,
    shedding: Arc<Semaphore>,
    tls: Option<Tls>,
    connections: Arc<Connections>,
    tasks: JoinSet<()>,
    failures: Throttle,
    refusals: Throttle,
}

impl Acceptor {
    /// Accepts and serves connections until `end` is ready.
    async fn accept_until<T>(&mut self, listener: &TcpListener, end: impl Future<Output = T>) -> T {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(Accepted { stream, peer }),
                    Err(error) if pauses(&error) => {
                        if let Some(failures) = self.failures.pass() {
                            tracing::warn!(%error, failures, "cannot accept connections");
                        }
                        tokio::select! {
                            ended = &mut end => return ended,
                            () = sleep(accept::PAUSE) => {}
                        }
                    }
                    Err(error) => tracing::debug!(%error, "connection lost before it was accepted"),
                },
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Serves a connection, or refuses it if there are too many. Never waits for other ones, so
    /// that no peer can stop the server from accepting.
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
                connections.metrics.refused(reason);
                // A peer that is refused may try again at once, and often.
                if let Some(connections) = self.refusals.pass() {
                    let reason = reason.name();
                    tracing::info!(%peer, reason, connections, "connection closed");
                }
                // With TLS an answer would need a handshake, which costs more than it helps.
                if self.tls.is_some() {
                    return;
                }
                if let Ok(permit) = Arc::clone(&self.shedding).try_acquire_owned() {
                    self.tasks.spawn(async move {
                        let _permit = permit;
                        Refusal::OVERLOADED.send_after_request(accepted.stream).await;
                    });
                }
            }
        }
    }
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// [`io::Error`] if the signals cannot be listened for.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for SIGHUP, which no longer ends the process then.
///
/// # Errors
/// [`io::Error`] if the signal cannot be listened for.
pub fn hangup_signal() -> io::Result<HangupSignal> {
    signal(SignalKind::hangup()).map(HangupSignal)
}

/// SIGHUP, which conventionally asks a server to read its files again.
#[derive(Debug)]
pub struct HangupSignal(Signal);

impl HangupSignal {
    /// Waits for the next SIGHUP.
    pub async fn received(&mut self) {
        // The stream of a signal does not end.
        let _ = self.0.recv().await;
    }
}
