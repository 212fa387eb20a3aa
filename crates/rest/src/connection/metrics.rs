//! Figures about connections, for `/metrics`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The reason for which the server refuses or cuts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// One peer address has too many connections.
    PeerLimit,
    /// There are too many connections in all.
    ConnectionLimit,
    /// A TLS handshake failed, or did not end in time.
    TlsHandshake,
    /// Plain HTTP came to a port that serves TLS.
    PlainHttp,
    /// A TLS handshake came to a port that serves plain HTTP.
    UnexpectedTls,
    /// The head of a request is not HTTP/1, or is too long to be read.
    MalformedHead,
    /// The head of a request began, but did not arrive in time.
    HeadTimeout,
    /// The peer did not read its answer.
    WriteTimeout,
}

impl Reason {
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

    /// Returns the name of the reason in the log and in the figures.
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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counts connections. A handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    refused: Family<ReasonLabel, Counter>,
}

impl ConnectionMetrics {
    /// Adds the figures to those of a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Connections being served", self.open.clone());
        registry.register(
            "connections_accepted",
            "Connections accepted, refused ones included",
            self.accepted.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections refused or cut, by reason",
            self.refused.clone(),
        );
        // A counter that is there before it counts can be watched for its first increase.
        for reason in Reason::ALL {
            drop(self.refused.get_or_create(&label(reason)));
        }
    }

    pub(crate) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refused.get_or_create(&label(reason)).inc();
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn open(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }
}

fn label(reason: Reason) -> ReasonLabel {
    ReasonLabel { reason: reason.name() }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
