//! The routes: calls, probes, figures and the description.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method as Verb, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crm_chat_domain::Store;
use futures_lite::FutureExt;
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::body::{BodyBounds, RequestBody};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::pipeline::Success;
use crate::rate::Buckets;
use crate::readiness::Readiness;
use crate::reading::ReadingBudget;
use crate::telemetry::{self, CallStatus, Load, Origin, RequestLog, Telemetry};
use crate::time::Clock;
use crate::{Options, openapi};
use crm_chat_credentials::Credentials;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The seconds after which a caller who was shed may repeat. What is shed is shed at once, so a
/// moment is enough.
const REPEAT_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Returns what serves the methods over a store: `/rest/…`, `/healthz`, `/readyz`, `/metrics` and
/// `/openapi.json`.
///
/// Nest it in a service of your own, under a path or at the root; whatever else is asked of it is
/// answered as an unknown method. It needs a tokio runtime with the time enabled. The peer is
/// logged if the request has an extension `axum::extract::ConnectInfo<SocketAddr>`.
pub fn router<S: Store + 'static, C: Credentials>(
    store: S,
    credentials: C,
    options: Options,
) -> Router {
    App { requires_host: false, ..App::new(store, credentials, options) }.into_router()
}

/// The state that all requests share.
pub(crate) struct App<S, C> {
    pub(crate) store: S,
    pub(crate) credentials: C,
    pub(crate) options: Options,
    pub(crate) gate: Gate,
    pub(crate) reading: ReadingBudget,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) readiness: Readiness,
    pub(crate) telemetry: Telemetry,
    /// Set if a request of HTTP/1.1 must name its host.
    pub(crate) requires_host: bool,
    description: OnceLock<Bytes>,
}

/// An address beside the methods, without credentials.
#[derive(Clone, Copy)]
enum Probe {
    Alive,
    Ready,
    Metrics,
    Description,
}

impl Probe {
    fn find(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Alive),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            "/openapi.json" => Some(Self::Description),
            _ => None,
        }
    }
}

impl<S: Store + 'static, C: Credentials> App<S, C> {
    pub(crate) fn new(store: S, credentials: C, options: Options) -> Self {
        Self {
            store,
            credentials,
            gate: Gate::new(options.max_calls),
            reading: ReadingBudget::new(options.max_reading_bytes),
            buckets: options.rate_limit.then(Buckets::new),
            readiness: Readiness::new(),
            telemetry: Telemetry::new(options.metrics.clone()),
            requires_host: true,
            description: OnceLock::new(),
            options,
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Returns the figures, for others to add theirs.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        self.telemetry.registry()
    }

    pub(crate) fn into_router(self) -> Router {
        Router::new().fallback(Self::handle).with_state(Arc::new(self))
    }

    async fn handle(State(app): State<Arc<Self>>, request: Request) -> Response {
        let probe = Probe::find(request.uri().path()).filter(|_| {
            matches!(*request.method(), Verb::GET | Verb::HEAD)
                && app.has_valid_host(request.version(), request.headers())
        });
        let mut response = match probe {
            Some(probe) => app.probe(probe).await,
            None => app.call(request).await,
        };
        harden(&mut response);
        response
    }

    pub(crate) fn is_probe(path: &str) -> bool {
        Probe::find(path).is_some()
    }

    async fn probe(&self, probe: Probe) -> Response {
        match probe {
            Probe::Alive => plain(StatusCode::OK, "alive\n"),
            Probe::Ready => self.ready().await,
            Probe::Metrics => {
                let content_type = [(CONTENT_TYPE, telemetry::CONTENT_TYPE)];
                (content_type, self.telemetry.render(self.load())).into_response()
            }
            Probe::Description => {
                let build = || to_json(&openapi::describe::<S>());
                let description = self.description.get_or_init(build);
                ([(CONTENT_TYPE, JSON)], description.clone()).into_response()
            }
        }
    }

    fn load(&self) -> Load {
        let (bodies, body_bytes) = self.reading.usage();
        Load { calls: self.gate.inside(), bodies, body_bytes }
    }

    /// Answers a call, whatever it is, and records it.
    async fn call(&self, request: Request) -> Response {
        let clock = Clock::start();
        let (head, body) = request.into_parts();
        let mut body = RequestBody::new(&head.headers, body);
        let origin = Origin::at(self.peer(&head));
        let mut log = RequestLog::new(&self.telemetry, clock, origin);
        let answering = AssertUnwindSafe(self.answer(&head, &mut body, clock, &mut log));
        let panicked = |_| Err(Failure::Panicked);
        let result = answering.catch_unwind().await.unwrap_or_else(panicked);
        log.finish(CallStatus::of(&result));
        let mut response = respond(&result, log.request_id());
        if !body.is_read() || self.gate.is_closed() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        body.discard(BodyBounds::known(&self.options));
        response
    }

    /// Answers whether calls are worked on and the store answers.
    async fn ready(&self) -> Response {
        if self.gate.is_draining() {
            return unavailable("stopping\n");
        }
        if self.readiness.check(&self.store, &self.telemetry).await {
            plain(StatusCode::OK, "ready\n")
        } else {
            unavailable("the store does not answer\n")
        }
    }
}

fn respond(result: &Result<Success, Failure>, request_id: &str) -> Response {
    let mut response = match result {
        Ok(success) => json(StatusCode::OK, success),
        Err(failure) => {
            let mut response = json(failure.status(), failure);
            advise(failure, response.headers_mut());
            response
        }
    };
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

/// Adds the headers that say what the caller may do about a failure.
fn advise(failure: &Failure, headers: &mut HeaderMap) {
    if let Some(verbs) = failure.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(verbs));
    }
    if let Some(challenge) = failure.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if failure.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, REPEAT_AFTER);
    }
}

/// Adds the headers of every answer: a GET may remove a user, and no answer is for a cache or a
/// page to interpret.
fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, JSON)], to_json(body)).into_response()
}

fn to_json(body: &impl Serialize) -> Bytes {
    // Only a map whose keys are no strings, or a `Serialize` that fails, could not be written;
    // there is none here.
    serde_json::to_vec(body).unwrap_or_default().into()
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

fn unavailable(text: &'static str) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, [(RETRY_AFTER, REPEAT_AFTER)], text).into_response()
}
