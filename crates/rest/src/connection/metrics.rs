//! Metrics of connections.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::ReasonLabel;

/// The reason for which the server refuses or aborts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The peer has too many connections.
    PeerLimit,
    /// There are too many connections in total.
    ConnectionLimit,
    /// A TLS handshake failed, or did not complete in time.
    TlsHandshake,
    /// The peer sent plain HTTP to a port that serves TLS.
    PlainHttp,
    /// The peer started a TLS handshake on a port that serves plain HTTP.
    UnexpectedTls,
    /// The head of a request is not valid HTTP/1, or is too long to be read.
    MalformedHead,
    /// The head of a request started, but did not arrive in time.
    HeadTimeout,
    /// The peer did not read its response.
    WriteTimeout,
}

impl CloseReason {
    const ALL: [Self; 8] = [
        Self::PeerLimit,
        Self::ConnectionLimit,
        Self::TlsHandshake,
        Self::PlainHttp,
        Self::UnexpectedTls,
        Self::MalformedHead,
        Self::HeadTimeout,
        Self::WriteTimeout,
    ];

    /// Returns the name of the reason in the log and in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PeerLimit => "peer_limit",
            Self::ConnectionLimit => "connection_limit",
            Self::TlsHandshake => "tls_handshake",
            Self::PlainHttp => "plain_http",
            Self::UnexpectedTls => "unexpected_tls",
            Self::MalformedHead => "malformed_head",
            Self::HeadTimeout => "head_timeout",
            Self::WriteTimeout => "write_timeout",
        }
    }
}

/// The metrics of all connections. Cloning returns another handle to the same metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    closed: Family<ReasonLabel, Counter>,
}

impl ConnectionMetrics {
    /// Adds the metrics to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Connections being served", self.open.clone());
        registry.register(
            "connections_accepted",
            "Connections accepted, including refused ones",
            self.accepted.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections refused or aborted, by reason",
            self.closed.clone(),
        );
        // Create all counters now. Alerts on an increase miss the first one of a counter that
        // appears only then.
        for reason in CloseReason::ALL {
            drop(self.closed.get_or_create(&label(reason)));
        }
    }

    pub(crate) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closed.get_or_create(&label(reason)).inc();
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn open(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }
}

fn label(reason: CloseReason) -> ReasonLabel {
    ReasonLabel { reason: reason.name() }
}

/// A connection that counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
