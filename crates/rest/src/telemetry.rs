//! Request logging and Prometheus metrics.

mod external_metric;
mod request_log;

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::external_metric::ExternalMetrics;

pub use self::external_metric::ExternalMetric;
pub(crate) use self::request_log::{CallStatus, Origin, RequestLog, Subject};

/// The content type of the output of [`Telemetry::render`].
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the histogram buckets in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

// The values of all labels come from closed sets. Callers must not be able to create time series.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    pub(crate) reason: &'static str,
}

/// The metrics and the log of an application.
#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    durations: Family<MethodLabel, Histogram>,
    shed: Family<ReasonLabel, Counter>,
    not_ready: Family<ReasonLabel, Counter>,
    load: LoadGauges,
    request_ids: RequestIds,
}

/// The current load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) calls: usize,
    pub(crate) bodies: usize,
    pub(crate) body_bytes: usize,
}

#[derive(Debug, Default)]
struct LoadGauges {
    calls: Gauge,
    bodies: Gauge,
    body_bytes: Gauge,
}

impl LoadGauges {
    fn set(&self, load: Load) {
        for (gauge, value) in [
            (&self.calls, load.calls),
            (&self.bodies, load.bodies),
            (&self.body_bytes, load.body_bytes),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}

impl Telemetry {
    pub(crate) fn new(external: Vec<ExternalMetric>) -> Self {
        let durations: Family<_, _> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let telemetry = Self {
            registry: Registry::with_prefix("crm_chat"),
            calls: Family::default(),
            durations,
            shed: Family::default(),
            not_ready: Family::default(),
            load: LoadGauges::default(),
            request_ids: RequestIds::default(),
        };
        telemetry.registered(external)
    }

    /// Adds all metrics to the registry.
    fn registered(mut self, external: Vec<ExternalMetric>) -> Self {
        let registry = &mut self.registry;
        let help = "Calls answered, by method and code";
        registry.register("calls", help, self.calls.clone());
        let help = "Duration of calls, by method";
        registry.register("call_duration_seconds", help, self.durations.clone());
        let help = "Calls in flight";
        registry.register("calls_in_flight", help, self.load.calls.clone());
        let help = "Calls shed, by reason";
        registry.register("calls_shed", help, self.shed.clone());
        let help = "Request bodies that are arriving";
        registry.register("bodies_arriving", help, self.load.bodies.clone());
        let help = "Bytes of request bodies in memory, including those of calls in flight";
        registry.register("body_bytes_held", help, self.load.body_bytes.clone());
        let help = "Failed readiness checks, by reason";
        registry.register("readiness_failures", help, self.not_ready.clone());
        registry.register_collector(Box::new(ExternalMetrics(external)));
        self
    }

    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Counts and logs a readiness check that failed.
    pub(crate) fn record_not_ready(&self, reason: &'static str, cause: &str) {
        increment(&self.not_ready, reason);
        log(|| tracing::warn!(reason, cause, "not ready"));
    }

    /// Counts a call.
    fn count(&self, method: &'static str, status: CallStatus<'_>, duration: Duration) {
        let code = status.code();
        self.calls.get_or_create(&CallLabels { method, code }).inc();
        self.durations.get_or_create(&MethodLabel { method }).observe(duration.as_secs_f64());
        if let Some(reason) = status.shed_reason() {
            increment(&self.shed, reason);
        }
    }

    /// Returns the id that a client has chosen for its request if it is safe to log, or a new id.
    fn request_id(&self, chosen: Option<String>) -> String {
        chosen.filter(|id| is_loggable(id)).unwrap_or_else(|| self.request_ids.next())
    }

    /// Renders all metrics in the OpenMetrics text format, which Prometheus reads.
    pub(crate) fn render(&self, load: Load) -> String {
        self.load.set(load);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

// `get_or_create` returns a guard that locks the family. It is dropped before anything is logged,
// so that a slow log cannot block `/metrics` and other calls.
fn increment(family: &Family<ReasonLabel, Counter>, reason: &'static str) {
    family.get_or_create(&ReasonLabel { reason }).inc();
}

/// Writes to the log. If the subscriber panics, the line is lost, but not the response to a call
/// that has already been carried out.
fn log(write: impl FnOnce()) {
    // The panic hook has reported the panic. Logging it here would panic again.
    let _ = catch_unwind(AssertUnwindSafe(write));
}

fn is_loggable(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&id.len()) && id.bytes().all(allowed)
}

/// Generates ids that are unique within a process, and almost certainly across processes.
#[derive(Debug, Default)]
struct RequestIds {
    key: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.key.hash_one(number))
    }
}
