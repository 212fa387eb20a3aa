//! A server with sensible defaults.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use crm_chat_domain::Store;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::app::App;
use crate::gate::Gate;
use crate::{Credentials, Options, Tls};

/// How much more than a head may be is read of it, so that the answer says what is wrong.
const HEAD_MARGIN: usize = 4;

/// How many headers a request may have.
const MAX_HEADERS: usize = 512;

/// How long to wait after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the methods over HTTP/1.1, with TLS or without.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    gate: Gate,
    tls: Option<Tls>,
    options: Options,
    places: Arc<Semaphore>,
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
        let places = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let app = App::new(store, credentials, options.clone());
        Ok(Self {
            listener,
            gate: app.gate(),
            router: app.into_router(),
            tls: None,
            places: Arc::new(Semaphore::new(places)),
            options,
        })
    }

    /// Speaks TLS.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// Returns the address listened at.
    ///
    /// # Errors
    /// [`io::Error`] if the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, such as [`stop_signal`], and then stops in order.
    ///
    /// Calls that were let in are answered, those that still arrive are answered `OVERLOAD_LIMIT`. What is not done
    /// within [`Options::grace`] is cut off.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let mut connections = Connections::default();
        self.accept_until(stop, &mut connections).await;

        let end = Instant::now() + self.options.grace;
        tracing::info!(calls = self.gate.inside(), "stopping");
        self.gate.close();
        let _ = self
            .accept_until(timeout_at(end, self.gate.empty()), &mut connections)
            .await;

        drop(self.listener);
        let Connections {
            graceful,
            mut tasks,
        } = connections;
        let stopped = timeout_at(end, graceful.shutdown()).await;
        let cut = stopped.is_err().then_some(tasks.len());
        tasks.shutdown().await;
        tracing::info!(cut, "stopped");
    }

    /// Accepts and serves connections until `end` is ready.
    async fn accept_until<T>(
        &self,
        end: impl Future<Output = T>,
        connections: &mut Connections,
    ) -> T {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                (stream, place) = self.accept() => {
                    let watcher = connections.graceful.watcher();
                    connections.tasks.spawn(self.serve(stream, place, watcher));
                }
                Some(_) = connections.tasks.join_next() => {}
            }
        }
    }

    async fn accept(&self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            match (self.listener.accept().await, place) {
                (Ok((stream, _)), Ok(place)) => return (stream, place),
                (Err(error), _) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
                // The semaphore is never closed.
                (_, Err(_)) => {}
            }
        }
    }

    /// Returns what serves one connection to its end.
    fn serve(
        &self,
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + 'static {
        let router = self.router.clone();
        let options = self.options.clone();
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        async move {
            let _place = place;
            // Small answers should not wait for more to send.
            let _ = stream.set_nodelay(true);
            let served = match acceptor {
                None => converse(stream, router, &options, watcher).await,
                Some(acceptor) => match timeout(options.max_time, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, router, &options, watcher).await,
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Ok(()),
                },
            };
            if let Err(error) = served {
                tracing::debug!(error, "connection lost");
            }
        }
    }
}

#[derive(Default)]
struct Connections {
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
}

/// Answers the requests of one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    options: &Options,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.max_time)
        .max_buf_size(options.max_head.saturating_mul(HEAD_MARGIN).max(8192))
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    Ok(watcher.watch(connection).await?)
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
