//! Takes a request through its stages: route → check the head → authenticate by the head → read the
//! body → parse it → authenticate by the body → rate limit → authorize → admit → dispatch.
//!
//! The order protects the server. Requests with invalid credentials cost no body, requests without
//! credentials in the head cost a small one, and only complete requests from authenticated callers
//! count against the limit of concurrent requests.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, HOST, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method as HttpMethod, Version};
use axum::response::Response;
use crm_chat_credentials::{Credentials, Grant};
use crm_chat_domain::Store;
use futures_lite::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::authentication::{Caller, PresentedCredentials};
use crate::body::{BodyLimits, RequestBody};
use crate::error::ApiError;
use crate::methods::{Context, Method, Output};
use crate::params::{Param, ParamLimits, ParamMap, parse_body, parse_form};
use crate::probes::is_probe;
use crate::response::{Success, respond};
use crate::route::Route;
use crate::router::App;
use crate::telemetry::{CallStatus, Origin, RequestLog};
use crate::time::CallClock;

/// Handles a request: runs the pipeline, records the outcome and builds the response.
pub(crate) async fn handle<S: Store + 'static, C: Credentials>(
    State(app): State<Arc<App<S, C>>>,
    request: Request,
) -> Response {
    let clock = CallClock::start();
    let (head, body) = request.into_parts();
    let mut body = RequestBody::new(&head.headers, body);
    let origin = Origin::new(app.peer(&head));
    let mut log = RequestLog::new(&app.telemetry, clock, origin);
    // A store or credentials that panic cost one response, not the connection.
    let running = AssertUnwindSafe(app.run(&head, &mut body, clock, &mut log)).catch_unwind();
    let result = running.await.unwrap_or(Err(ApiError::Panicked));
    log.finish(CallStatus::of(&result));
    let mut response = respond(&result, log.request_id());
    // Receiving the rest of an unread body could take long, so the connection is not reused.
    if !body.is_read() || app.concurrency.is_closed() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    body.discard(BodyLimits::authenticated(&app.options));
    response
}

impl<S: Store + 'static, C: Credentials> App<S, C> {
    async fn run(
        &self,
        head: &Parts,
        body: &mut RequestBody,
        clock: CallClock,
        log: &mut RequestLog<'_>,
    ) -> Result<Success, ApiError> {
        let deadline = Instant::now() + self.options.request_timeout;

        let (route, method) = self.route(head)?;
        log.method = method.name;

        self.check_head(head)?;
        let query = head.uri.query().unwrap_or_default();
        let mut params = parse_form(query, "query string", self.param_limits())?;
        log.set_request_id(request_id(&params));

        // Invalid credentials in the head end the request before its body is read.
        let caller = match PresentedCredentials::from_head(&route, &params, &head.headers) {
            Some(presented) => Some(self.authenticate(presented, deadline, log).await?),
            None => None,
        };

        // Bodies of unauthenticated callers have a lower limit and a budget of their own, so that
        // they cannot crowd out authenticated ones.
        let (limits, pool) = match caller {
            Some(_) => (BodyLimits::authenticated(&self.options), &self.body_budget.authenticated),
            None => (BodyLimits::unauthenticated(&self.options), &self.body_budget.unauthenticated),
        };
        // Held until the response is built: the parsed parameters take as much memory as the body.
        let (bytes, _reservation) = body.read(limits, deadline, pool).await?;
        let body_params = parse_body(&head.headers, bytes, self.param_limits()).await?;
        let body_credentials = PresentedCredentials::from_body(&route, &body_params);
        params.extend(body_params);
        log.set_request_id(request_id(&params));

        // A token in the body overrides one in the head, as every parameter does.
        let caller = match (body_credentials, caller) {
            (Some(presented), _) => self.authenticate(presented, deadline, log).await?,
            (None, Some(caller)) => caller,
            (None, None) => return Err(ApiError::MissingCredentials),
        };
        self.check_rate(&caller.grant)?;
        method.authorize(&caller.grant)?;
        // Only now does the request count as concurrent. Slow bodies and wrong credentials must not
        // be able to use up the permits.
        let _permit = self.concurrency.try_acquire()?;

        let dispatching = self.dispatch(method, &caller, &params, deadline, log);
        timeout_at(deadline, dispatching)
            .await
            .unwrap_or(Err(ApiError::TimedOut))
            .map(|(result, processing)| Success { result, time: clock.time(processing) })
    }

    /// Finds the method that a path leads to.
    fn route(&self, head: &Parts) -> Result<(Route, &'static Method<S>), ApiError> {
        if self.concurrency.is_closed() {
            return Err(ApiError::ShuttingDown);
        }
        if !self.has_valid_host(head.version, &head.headers) {
            return Err(ApiError::HostHeader);
        }
        if is_probe(head.uri.path()) {
            return Err(ApiError::ReadOnly);
        }
        if !matches!(head.method, HttpMethod::GET | HttpMethod::POST) {
            return Err(ApiError::MethodNotAllowed);
        }
        let route = Route::parse(head.uri.path());
        let method = Method::find(route.method()?)?;
        Ok((route, method))
    }

    /// Returns `true` if a request has the `Host` header that HTTP/1.1 requires.
    pub(crate) fn has_valid_host(&self, version: Version, headers: &HeaderMap) -> bool {
        !self.requires_host
            || version != Version::HTTP_11
            || headers.get_all(HOST).iter().count() == 1
    }

    fn check_head(&self, head: &Parts) -> Result<(), ApiError> {
        let target = head.uri.path_and_query();
        let target = target.map_or(0, |target| target.as_str().len());
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
        let max = self.options.max_head;
        if target + headers.sum::<usize>() > max {
            return Err(ApiError::HeadTooLong(max));
        }
        Ok(())
    }

    fn param_limits(&self) -> ParamLimits {
        ParamLimits { depth: self.options.max_depth, count: self.options.max_parameters }
    }

    async fn authenticate(
        &self,
        presented: PresentedCredentials,
        deadline: Instant,
        log: &mut RequestLog<'_>,
    ) -> Result<Caller<'_, C>, ApiError> {
        let authenticating = Caller::authenticate(presented, &self.credentials);
        let caller = timeout_at(deadline, authenticating).await;
        let caller = caller.unwrap_or(Err(ApiError::TimedOut))?;
        log.origin.set_grant(&caller.grant);
        Ok(caller)
    }

    fn check_rate(&self, grant: &Grant) -> Result<(), ApiError> {
        let rate_limiter = self.rate_limiter.as_ref();
        rate_limiter.map_or(Ok(()), |rate_limiter| rate_limiter.check(&grant.credential))
    }

    /// Runs the method. Returns its output and its duration.
    async fn dispatch(
        &self,
        method: &Method<S>,
        caller: &Caller<'_, C>,
        params: &ParamMap,
        deadline: Instant,
        log: &mut RequestLog<'_>,
    ) -> Result<(Output, Duration), ApiError> {
        // The commands of a batch share the id, so it must exist before they are logged.
        log.request_id();
        let context = Context {
            store: &self.store,
            caller,
            grant: &caller.grant,
            limits: self.param_limits(),
            batch_deadline: deadline - batch_margin(self.options.request_timeout),
            readiness: &self.readiness,
            telemetry: &self.telemetry,
            origin: &log.origin,
        };
        let clock = CallClock::start();
        let output = method.run(&context, params, &mut log.subject).await?;
        Ok((output, clock.elapsed()))
    }

    /// Returns the address of the client, or of the last proxy before this server.
    fn peer(&self, head: &Parts) -> Option<IpAddr> {
        let forwarded = self.options.trust_forwarded.then_some(&head.headers);
        forwarded.and_then(last_forwarded_for).or_else(|| {
            let ConnectInfo(peer) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.ip())
        })
    }
}

/// Returns the time that a batch reserves for its response. Its last command ends this long before
/// the request times out, so that the results of the other commands still reach the caller.
fn batch_margin(request_timeout: Duration) -> Duration {
    (request_timeout / 10).min(Duration::from_secs(1))
}

/// Returns the last address in `X-Forwarded-For`, which the nearest proxy has added.
///
/// The header `Forwarded` is ignored: a proxy that supports only one of the two headers passes on
/// the other as the client wrote it.
fn last_forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn request_id(params: &ParamMap) -> Option<String> {
    params.get("bx24_request_id").and_then(Param::to_text)
}
