//! Metrics that the embedding program contributes to `/metrics`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// A metric of the embedding program, read on each request for `/metrics`.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use crm_chat_rest::{ExternalMetric, Options};
///
/// let lost = Arc::new(AtomicU64::new(0));
/// let read = { let lost = Arc::clone(&lost); move || lost.load(Ordering::Relaxed) };
/// let mut options = Options::default();
/// options.metrics.push(ExternalMetric::counter("log_lines_lost", "Log lines not written", read));
/// ```
#[derive(Clone)]
pub struct ExternalMetric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: Arc<dyn Fn() -> u64 + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
}

impl ExternalMetric {
    /// Creates a counter, which never decreases. Its name in `/metrics` is `crm_chat_{name}_total`.
    ///
    /// `read` must not block. `name` consists of lower-case letters and underscores.
    pub fn counter(
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, help, Kind::Counter, read)
    }

    /// Creates a gauge, which may rise and fall. Its name in `/metrics` is `crm_chat_{name}`.
    ///
    /// `read` must not block. `name` consists of lower-case letters and underscores.
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, help, Kind::Gauge, read)
    }

    fn new(
        name: &'static str,
        help: &'static str,
        kind: Kind,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, kind, read: Arc::new(read) }
    }
}

impl fmt::Debug for ExternalMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalMetric")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// All metrics of the embedding program.
#[derive(Debug)]
pub(crate) struct ExternalMetrics(pub(crate) Vec<ExternalMetric>);

impl Collector for ExternalMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for metric in &self.0 {
            let value = (metric.read)();
            let value: &dyn EncodeMetric = match metric.kind {
                Kind::Counter => &ConstCounter::new(value),
                Kind::Gauge => &ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)),
            };
            let kind = value.metric_type();
            value.encode(encoder.encode_descriptor(metric.name, metric.help, None, kind)?)?;
        }
        Ok(())
    }
}
