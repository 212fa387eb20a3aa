//! The record of calls: a line in the log, and figures for `/metrics`.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crm_chat_domain::{ChatId, Entity, Outcome, Removal, UserId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing::field::display;

use crate::ExternalMetric;
use crate::external_metric::ExternalMetrics;
use crate::failure::Failure;
use crate::time::Clock;
use crm_chat_credentials::{CredentialId, Grant};

/// The content type of what [`Telemetry::render`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The labels of a call. Both labels come from closed sets: nothing that a caller sends becomes
/// one.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// A reason from a closed set.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counts calls and writes their lines.
#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    calls: Family<Labels, Counter>,
    durations: Family<MethodLabel, Histogram>,
    shed: Family<ReasonLabel, Counter>,
    not_ready: Family<ReasonLabel, Counter>,
    load: LoadGauges,
    ids: RequestIds,
}

/// The load at the moment.
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
            ids: RequestIds::default(),
        };
        telemetry.registered(external)
    }

    fn registered(mut self, external: Vec<ExternalMetric>) -> Self {
        let registry = &mut self.registry;
        let help = "Calls answered, by method and code";
        registry.register("calls", help, self.calls.clone());
        let help = "How long calls took, by method";
        registry.register("call_duration_seconds", help, self.durations.clone());
        let help = "Calls being worked on";
        registry.register("calls_in_flight", help, self.load.calls.clone());
        let help = "Calls not worked on, by reason";
        registry.register("calls_shed", help, self.shed.clone());
        let help = "Request bodies that are arriving";
        registry.register("bodies_arriving", help, self.load.bodies.clone());
        let help = "Bytes of request bodies held, of calls being worked on too";
        registry.register("body_bytes_held", help, self.load.body_bytes.clone());
        let help = "Checks of readiness that failed, by reason";
        registry.register("readiness_failures", help, self.not_ready.clone());
        registry.register_collector(Box::new(ExternalMetrics(external)));
        self
    }

    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Records a check of readiness that failed.
    pub(crate) fn not_ready(&self, reason: &'static str, cause: &str) {
        count(&self.not_ready, reason);
        write_line(|| tracing::warn!(reason, cause, "not ready"));
    }

    /// Returns an id for a request: the one that it has, if that is fit for a log, or a new one.
    fn request_id(&self, given: Option<String>) -> String {
        given.filter(|id| is_fit(id)).unwrap_or_else(|| self.ids.next())
    }

    /// Returns all figures in the text format of `OpenMetrics`, which Prometheus reads.
    pub(crate) fn render(&self, load: Load) -> String {
        self.load.set(load);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

// No guard of a family may be alive while a line is written: a slow log would stop `/metrics` and
// other calls.
fn count(family: &Family<ReasonLabel, Counter>, reason: &'static str) {
    family.get_or_create(&ReasonLabel { reason }).inc();
}

/// Writes a line to the log. A subscriber that panics loses the line, and not the answer to a call
/// that was made.
fn write_line(write: impl FnOnce()) {
    // The panic itself was reported by the panic hook; a line about it would panic too.
    let _ = catch_unwind(AssertUnwindSafe(write));
}

/// The end of a call.
#[derive(Clone, Copy)]
pub(crate) enum CallStatus<'a> {
    Success,
    Failure(&'a Failure),
    /// The client left before its answer.
    Abandoned,
}

impl<'a> CallStatus<'a> {
    pub(crate) fn of<T>(result: &'a Result<T, Failure>) -> Self {
        result.as_ref().err().map_or(Self::Success, Self::Failure)
    }

    fn failure(self) -> Option<&'a Failure> {
        match self {
            Self::Failure(failure) => Some(failure),
            Self::Success | Self::Abandoned => None,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Success => "OK",
            Self::Failure(failure) => failure.code(),
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// The origin of a call, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    peer: Option<IpAddr>,
    actor: Option<UserId>,
    credential: Option<CredentialId>,
    request_id: Option<String>,
}

impl Origin {
    pub(crate) fn at(peer: Option<IpAddr>) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Records whose credentials were good.
    pub(crate) fn granted(&mut self, grant: &Grant) {
        self.actor = Some(grant.user);
        self.credential = Some(grant.credential.clone());
    }
}

/// The subject of a removal. Ids are not secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject {
    chat: Option<ChatId>,
    user: Option<UserId>,
    entity: Option<Entity>,
}

impl Subject {
    /// Records what was asked for.
    pub(crate) fn asked(&mut self, removal: &Removal) {
        *self = Self { chat: removal.chat, user: Some(removal.user), entity: Some(removal.entity) };
    }

    /// Records the chat that was found.
    pub(crate) fn found(&mut self, outcome: &Outcome) {
        self.chat = outcome.chat().or(self.chat);
    }
}

/// The facts about a call, or about a command of a batch, for its line in the log.
pub(crate) struct RequestLog<'a> {
    telemetry: &'a Telemetry,
    clock: Clock,
    pub(crate) method: &'static str,
    pub(crate) origin: Origin,
    pub(crate) subject: Subject,
    finished: bool,
}

impl<'a> RequestLog<'a> {
    pub(crate) fn new(telemetry: &'a Telemetry, clock: Clock, origin: Origin) -> Self {
        Self {
            telemetry,
            clock,
            method: "unknown",
            origin,
            subject: Subject::default(),
            finished: false,
        }
    }

    /// Takes over the id that the caller gave the request.
    pub(crate) fn give_id(&mut self, id: Option<String>) {
        self.origin.request_id = id.or(self.origin.request_id.take());
    }

    /// Returns the id of the request; makes one if it has none.
    pub(crate) fn request_id(&mut self) -> &str {
        let id = self.telemetry.request_id(self.origin.request_id.take());
        self.origin.request_id.insert(id)
    }

    /// Counts the call and writes its line; also the cause of a failure, which is shown nowhere
    /// else.
    pub(crate) fn finish(&mut self, status: CallStatus<'_>) {
        self.finished = true;
        let duration = self.clock.elapsed();
        self.count(status, duration);

        let (method, code, subject) = (self.method, status.code(), self.subject);
        self.request_id();
        let origin = &self.origin;
        let request_id = origin.request_id.as_deref();
        if let Some(cause) = status.failure().and_then(Failure::cause) {
            write_line(|| tracing::error!(request_id, cause, "failed"));
        }
        write_line(|| {
            tracing::info!(
                request_id,
                peer = shown(origin.peer),
                credential = shown(origin.credential.as_ref()),
                actor = origin.actor.map(UserId::get),
                method,
                entity = shown(subject.entity),
                chat = subject.chat.map(ChatId::get),
                user = subject.user.map(UserId::get),
                code,
                milliseconds = milliseconds(duration),
                "called"
            );
        });
    }

    fn count(&self, status: CallStatus<'_>, duration: Duration) {
        let (method, code) = (self.method, status.code());
        let telemetry = self.telemetry;
        telemetry.calls.get_or_create(&Labels { method, code }).inc();
        telemetry.durations.get_or_create(&MethodLabel { method }).observe(duration.as_secs_f64());
        if let Some(reason) = status.failure().and_then(Failure::shed_reason) {
            count(&telemetry.shed, reason);
        }
    }
}

/// A call that is dropped has its line, too.
impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(CallStatus::Abandoned);
        }
    }
}

fn shown<T: fmt::Display>(value: Option<T>) -> Option<tracing::field::DisplayValue<T>> {
    value.map(display)
}

/// Returns milliseconds, rounded to whole microseconds.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
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
