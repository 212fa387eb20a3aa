//! The route table, and the state that all requests share.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use crm_chat_credentials::Credentials;
use crm_chat_domain::Store;
use prometheus_client::registry::Registry;

use crate::Options;
use crate::body::BodyBudget;
use crate::concurrency::ConcurrencyLimit;
use crate::pipeline::handle;
use crate::probes::{self, Readiness};
use crate::rate_limit::RateLimiter;
use crate::response::harden;
use crate::telemetry::Telemetry;

/// Returns a router that serves the methods over a store at `/rest/…`, along with `/healthz`,
/// `/readyz`, `/metrics` and `/openapi.json`.
///
/// Nest it in a service of your own, under a path or at the root. All other paths below it are
/// answered as unknown methods. The router needs a tokio runtime with time enabled. It logs the
/// peer's address if requests carry the extension `axum::extract::ConnectInfo<SocketAddr>`.
pub fn router<S: Store + 'static, C: Credentials>(
    store: S,
    credentials: C,
    options: Options,
) -> Router {
    // A router cannot know how its requests arrived, so it does not insist on `Host`.
    App { requires_host: false, ..App::new(store, credentials, options) }.into_router()
}

/// The state that all requests share.
pub(crate) struct App<S, C> {
    pub(crate) store: S,
    pub(crate) credentials: C,
    pub(crate) options: Options,
    pub(crate) concurrency: ConcurrencyLimit,
    pub(crate) body_budget: BodyBudget,
    pub(crate) rate_limiter: Option<RateLimiter>,
    pub(crate) readiness: Readiness,
    pub(crate) telemetry: Telemetry,
    /// Set if HTTP/1.1 requests must have a header `Host`.
    pub(crate) requires_host: bool,
    /// The body of `/openapi.json`, generated on first use.
    pub(crate) description: OnceLock<Bytes>,
}

impl<S: Store + 'static, C: Credentials> App<S, C> {
    pub(crate) fn new(store: S, credentials: C, options: Options) -> Self {
        Self {
            store,
            credentials,
            concurrency: ConcurrencyLimit::new(options.max_concurrent_requests),
            body_budget: BodyBudget::new(options.max_buffered_body_bytes),
            rate_limiter: options.rate_limit.then(RateLimiter::new),
            readiness: Readiness::new(),
            telemetry: Telemetry::new(options.metrics.clone()),
            requires_host: true,
            description: OnceLock::new(),
            options,
        }
    }

    /// Returns the metrics registry, to which a server adds its own metrics.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        self.telemetry.registry()
    }

    pub(crate) fn into_router(self) -> Router {
        let app = Arc::new(self);
        let require_host = from_fn_with_state(Arc::clone(&app), require_host::<S, C>);
        let call = handle::<S, C>;
        Router::new()
            // Probes answer GET and HEAD. Any other method goes through the pipeline, which rejects
            // and logs it like every other invalid request.
            .route(probes::HEALTHZ, any(call).get(probes::healthz))
            .route(probes::READYZ, any(call).get(probes::readyz::<S, C>))
            .route(probes::METRICS, any(call).get(probes::metrics::<S, C>))
            .route(probes::OPENAPI, any(call).get(probes::openapi::<S, C>))
            .route_layer(require_host)
            // `/rest/{user}/{secret}/{method}` and `/rest/{method}`. axum cannot match them:
            // clients send variants such as `//rest` or `/%72est`, which `Route` normalizes first.
            // Unknown paths end up here too and get an error in the format of the API.
            .fallback(call)
            .layer(map_response(harden))
            .with_state(app)
    }
}

/// Passes a probe on if its `Host` is valid. The pipeline reports the error otherwise.
async fn require_host<S: Store + 'static, C: Credentials>(
    State(app): State<Arc<App<S, C>>>,
    request: Request,
    next: Next,
) -> Response {
    if app.has_valid_host(request.version(), request.headers()) {
        next.run(request).await
    } else {
        handle(State(app), request).await
    }
}
