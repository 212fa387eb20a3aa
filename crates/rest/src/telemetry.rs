//! What is told of calls: a line in the log, and figures for `/metrics`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_domain::UserId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::failure::Failure;

/// The content type of what [`Telemetry::render`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// What a call is counted under. Both labels come from closed sets: nothing that a caller sends becomes one.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// Counts calls and writes their lines.
#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    calls: Family<Labels, Counter>,
    durations: Family<MethodLabel, Histogram>,
    in_flight: Gauge,
    ids: RequestIds,
}

/// How a call ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending<'a> {
    Success,
    Failure(&'a Failure),
    /// The client left before its answer.
    Abandoned,
}

impl<'a> Ending<'a> {
    pub(crate) fn of<T>(result: &'a Result<T, Failure>) -> Self {
        result.as_ref().err().map_or(Self::Success, Self::Failure)
    }

    fn code(self) -> &'static str {
        match self {
            Self::Success => "OK",
            Self::Failure(failure) => failure.code(),
            Self::Abandoned => "ABANDONED",
        }
    }

    fn cause(self) -> Option<String> {
        match self {
            Self::Failure(failure) => failure.cause(),
            Self::Success | Self::Abandoned => None,
        }
    }
}

/// A call that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'static str,
    pub(crate) actor: Option<UserId>,
    pub(crate) ending: Ending<'a>,
    pub(crate) duration: Duration,
    pub(crate) request_id: &'a str,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let calls = Family::default();
        let durations: Family<_, _> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let in_flight = Gauge::default();
        let mut registry = Registry::with_prefix("crm_chat");
        registry.register("calls", "Calls answered, by method and code", calls.clone());
        registry.register(
            "call_duration_seconds",
            "How long calls took, by method",
            durations.clone(),
        );
        registry.register(
            "calls_in_flight",
            "Calls being worked on",
            in_flight.clone(),
        );
        Self {
            registry,
            calls,
            durations,
            in_flight,
            ids: RequestIds::default(),
        }
    }

    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Counts a call, and writes its line; also the cause of a failure, which is told nowhere else.
    pub(crate) fn ended(&self, call: &Ended<'_>) {
        let &Ended {
            method,
            actor,
            ending,
            duration,
            request_id,
        } = call;
        let code = ending.code();
        self.calls.get_or_create(&Labels { method, code }).inc();
        let durations = self.durations.get_or_create(&MethodLabel { method });
        durations.observe(duration.as_secs_f64());
        if let Some(cause) = ending.cause() {
            tracing::error!(request_id, cause, "failed");
        }
        let actor = actor.map(UserId::get);
        let milliseconds = duration.as_secs_f64() * 1e3;
        tracing::info!(request_id, method, actor, code, milliseconds, "called");
    }

    /// Returns an id for a request: the one that it bears, if that is fit for a log, or a new one.
    pub(crate) fn request_id(&self, given: Option<String>) -> String {
        given
            .filter(|id| is_fit(id))
            .unwrap_or_else(|| self.ids.next())
    }

    /// Returns all figures in the text format of `OpenMetrics`, which Prometheus reads.
    pub(crate) fn render(&self, in_flight: usize) -> String {
        self.in_flight
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn is_fit(id: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&id.len()) && id.bytes().all(fit)
}

/// Makes ids that do not repeat in a process, and hardly across processes.
#[derive(Debug, Default)]
struct RequestIds {
    key: RandomState,
    made: AtomicU64,
}

impl RequestIds {
    fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.key.hash_one(number))
    }
}
