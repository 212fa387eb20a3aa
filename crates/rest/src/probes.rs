//! Endpoints for operators and tools, which need no credentials.

mod readiness;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crm_chat_credentials::Credentials;
use crm_chat_domain::Store;

use crate::openapi::describe;
use crate::response::{JSON, to_json, unavailable};
use crate::router::App;
use crate::telemetry::{Load, OPENMETRICS};

pub(crate) use readiness::Readiness;

pub(crate) const HEALTHZ: &str = "/healthz";
pub(crate) const READYZ: &str = "/readyz";
pub(crate) const METRICS: &str = "/metrics";
pub(crate) const OPENAPI: &str = "/openapi.json";

/// Returns `true` if a path belongs to a probe.
pub(crate) fn is_probe(path: &str) -> bool {
    [HEALTHZ, READYZ, METRICS, OPENAPI].contains(&path)
}

/// Answers as long as the process is alive.
pub(crate) async fn healthz() -> &'static str {
    "alive\n"
}

/// Answers 200 if the server accepts requests and the store responds.
pub(crate) async fn readyz<S: Store + 'static, C: Credentials>(
    State(app): State<Arc<App<S, C>>>,
) -> Response {
    if app.concurrency.is_draining() {
        return unavailable("stopping\n");
    }
    if app.readiness.check(&app.store, &app.telemetry).await {
        "ready\n".into_response()
    } else {
        unavailable("the store does not respond\n")
    }
}

/// Renders all metrics.
pub(crate) async fn metrics<S: Store + 'static, C: Credentials>(
    State(app): State<Arc<App<S, C>>>,
) -> ([(HeaderName, &'static str); 1], String) {
    let (bodies, body_bytes) = app.body_budget.usage();
    let load = Load { calls: app.concurrency.in_flight(), bodies, body_bytes };
    ([(CONTENT_TYPE, OPENMETRICS)], app.telemetry.render(load))
}

/// Describes the API.
pub(crate) async fn openapi<S: Store + 'static, C: Credentials>(
    State(app): State<Arc<App<S, C>>>,
) -> ([(HeaderName, HeaderValue); 1], Bytes) {
    let description = app.description.get_or_init(|| to_json(&describe::<S>()));
    ([(CONTENT_TYPE, JSON)], description.clone())
}
