//! From a request to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method as Verb, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, body};
use crm_chat_domain::{ChatRepo, Store, StoreError, UnitOfWork, UserId};
use futures_lite::FutureExt;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::time::timeout;

use crate::address::Address;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::methods::{Context, Method, Output};
use crate::parameters::{Bounds, Malformed};
use crate::rate::Buckets;
use crate::telemetry::{self, Ended, Ending, Telemetry};
use crate::time::{Clock, Time};
use crate::value::{Array, Value};
use crate::{Credentials, Grant, Options, authentication, openapi, parameters};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long `/readyz` waits for the store.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Returns what serves the methods over a store: `/rest/…`, `/healthz`, `/readyz`, `/metrics` and `/openapi.json`.
///
/// Nest it in a service of your own, under a path or at the root; whatever else is asked of it is answered as an unknown
/// method. It needs a tokio runtime with the time enabled.
pub fn router<S: Store + 'static, C: Credentials>(
    store: S,
    credentials: C,
    options: Options,
) -> Router {
    App::new(store, credentials, options).into_router()
}

/// What the answers are made of.
pub(crate) struct App<S, C> {
    store: S,
    credentials: C,
    options: Options,
    gate: Gate,
    buckets: Option<Buckets>,
    telemetry: Telemetry,
}

/// What is found out about a call on the way, for its line in the log.
struct Trace<'a> {
    telemetry: &'a Telemetry,
    clock: Clock,
    method: &'static str,
    actor: Option<UserId>,
    request_id: Option<String>,
    told: bool,
}

impl<'a> Trace<'a> {
    fn new(telemetry: &'a Telemetry, clock: Clock) -> Self {
        Self {
            telemetry,
            clock,
            method: "unknown",
            actor: None,
            request_id: None,
            told: false,
        }
    }

    /// Returns the id of the request; makes one if it bears none.
    fn request_id(&mut self) -> &str {
        let id = self.telemetry.request_id(self.request_id.take());
        self.request_id.insert(id)
    }

    fn tell(&mut self, ending: Ending<'_>) {
        self.told = true;
        let (method, actor, duration) = (self.method, self.actor, self.clock.elapsed());
        self.telemetry.ended(&Ended {
            method,
            actor,
            ending,
            duration,
            request_id: self.request_id(),
        });
    }
}

/// A call that is dropped has its line, too.
impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Ending::Abandoned);
        }
    }
}

impl<S: Store + 'static, C: Credentials> App<S, C> {
    pub(crate) fn new(store: S, credentials: C, options: Options) -> Self {
        Self {
            store,
            credentials,
            gate: Gate::new(options.max_calls),
            buckets: options.rate_limit.then(Buckets::new),
            telemetry: Telemetry::new(),
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
        Router::new()
            .fallback(Self::handle)
            .with_state(Arc::new(self))
    }

    async fn handle(State(app): State<Arc<Self>>, request: Request) -> Response {
        match request.uri().path() {
            "/healthz" => plain(StatusCode::OK, "alive\n"),
            "/readyz" => app.ready().await,
            "/metrics" => (
                [(CONTENT_TYPE, telemetry::CONTENT_TYPE)],
                app.telemetry.render(app.gate.inside()),
            )
                .into_response(),
            "/openapi.json" => json(StatusCode::OK, &openapi::describe::<S>()),
            _ => app.call(request).await,
        }
    }

    /// Answers a call, whatever it is, and tells of it.
    async fn call(&self, request: Request) -> Response {
        let clock = Clock::start();
        let mut trace = Trace::new(&self.telemetry, clock);
        let answering = AssertUnwindSafe(self.answer(request, clock, &mut trace));
        let panicked = |_| Err(Failure::Panicked);
        let result = answering.catch_unwind().await.unwrap_or_else(panicked);
        trace.tell(Ending::of(&result));
        self.respond(result, trace.request_id())
    }

    async fn answer(
        &self,
        request: Request,
        clock: Clock,
        trace: &mut Trace<'_>,
    ) -> Result<Success, Failure> {
        let _place = self.gate.enter()?;
        let (head, body) = request.into_parts();
        if !matches!(head.method, Verb::GET | Verb::POST) {
            return Err(Failure::Verb);
        }
        let address = Address::parse(head.uri.path());
        let method = Method::find(address.method()?)?;
        trace.method = method.name;
        self.check_head(&head.uri, &head.headers)?;

        let reading = self.read(&head.uri, &head.headers, body);
        let parameters = timeout(self.options.max_time, reading).await;
        let parameters = parameters.unwrap_or(Err(Malformed::Incomplete.into()))?;
        trace.request_id = parameters.get("bx24_request_id").and_then(Value::to_text);

        let left = self.options.max_time.saturating_sub(clock.elapsed());
        let running = self.run(method, &address, &head.headers, &parameters, trace);
        let (output, processing) = timeout(left, running)
            .await
            .unwrap_or(Err(Failure::TimedOut))?;
        Ok(Success {
            result: output,
            time: clock.time(processing),
        })
    }

    fn check_head(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let address = uri
            .path_and_query()
            .map_or(0, |address| address.as_str().len());
        let fields = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        let max = self.options.max_head;
        if address + fields.sum::<usize>() > max {
            return Err(Malformed::HeadTooLong(max).into());
        }
        Ok(())
    }

    async fn read(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: body::Body,
    ) -> Result<Array, Failure> {
        let body = crate::body::read(headers, body, self.options.max_body).await?;
        let query = uri.query().unwrap_or_default();
        Ok(parameters::parse(query, headers, body, self.bounds()).await?)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            depth: self.options.max_depth,
            count: self.options.max_parameters,
        }
    }

    /// Lets the caller in, and runs the method. Returns also how long the method took.
    async fn run(
        &self,
        method: &Method<S>,
        address: &Address,
        headers: &HeaderMap,
        parameters: &Array,
        trace: &mut Trace<'_>,
    ) -> Result<(Output, Duration), Failure> {
        let grant = self.authenticate(address, parameters, headers).await?;
        trace.actor = Some(grant.user);
        if let Some(buckets) = &self.buckets {
            buckets.pour(&grant.credential)?;
        }
        method.admit(&grant)?;
        authentication::check_active(&self.store, grant.user).await?;

        let context = Context {
            store: &self.store,
            grant: &grant,
            bounds: self.bounds(),
            telemetry: &self.telemetry,
            request_id: trace.request_id(),
        };
        let clock = Clock::start();
        let output = method.run(&context, parameters).await?;
        Ok((output, clock.elapsed()))
    }

    async fn authenticate(
        &self,
        address: &Address,
        parameters: &Array,
        headers: &HeaderMap,
    ) -> Result<Grant, Failure> {
        match address {
            Address::Webhook { user, secret, .. } => {
                authentication::by_webhook(&self.credentials, user, secret).await
            }
            _ => authentication::by_token(&self.credentials, parameters, headers).await,
        }
    }

    fn respond(&self, result: Result<Success, Failure>, request_id: &str) -> Response {
        let mut response = match result {
            Ok(success) => json(StatusCode::OK, &success),
            Err(failure) => {
                let mut response = json(failure.status(), &failure);
                if let Failure::Verb = failure {
                    let verbs = HeaderValue::from_static("GET, POST");
                    response.headers_mut().insert(ALLOW, verbs);
                }
                response
            }
        };
        if self.gate.is_closed() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        response
    }

    /// Tells whether the store answers and calls are let in.
    async fn ready(&self) -> Response {
        let answered = timeout(READY_WITHIN, self.ask()).await;
        match answered {
            Ok(Ok(())) if !self.gate.is_draining() => plain(StatusCode::OK, "ready\n"),
            Ok(Err(error)) => {
                tracing::warn!(cause = error.report(), "not ready");
                plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the store does not answer\n",
                )
            }
            Err(_) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store does not answer\n",
            ),
            Ok(Ok(())) => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    async fn ask(&self) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        tx.messenger_installed().await?;
        tx.commit().await
    }
}

/// The body of a success.
#[derive(Serialize)]
struct Success {
    result: Output,
    time: Time,
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Only a map whose keys are no strings, or a `Serialize` that fails, could not be written; there is none here.
    let body = serde_json::to_vec(body).unwrap_or_default();
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}
