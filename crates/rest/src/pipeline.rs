//! The stages of a call: route, check the head, judge the credentials in it, read the body, judge
//! the credentials in that, limit, and run.
//!
//! The order is what protects the server. Nothing is read of a caller whose credentials are wrong,
//! little of one who is unknown, and a place among the calls at work is taken only by what has
//! arrived whole from a caller who is known.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method as Verb, Version};
use crm_chat_domain::Store;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::address::Address;
use crate::app::App;
use crate::authentication::{Presentation, Presented};
use crate::body::{BodyBounds, RequestBody};
use crate::failure::Failure;
use crate::methods::{Context, Method, Output};
use crate::parameters::{Bounds, Malformed, parse_body, parse_form};
use crate::telemetry::RequestLog;
use crate::time::{Clock, Time};
use crate::value::{Array, Value};
use crm_chat_credentials::{Credentials, Grant};

/// The body of a success.
#[derive(Serialize)]
pub(crate) struct Success {
    result: Output,
    time: Time,
}

/// A caller whose credentials are good.
struct Known<'a, C> {
    presentation: Presentation<'a, C>,
    grant: Grant,
}

impl<S: Store + 'static, C: Credentials> App<S, C> {
    /// Takes a request through all stages.
    pub(crate) async fn answer(
        &self,
        head: &Parts,
        body: &mut RequestBody,
        clock: Clock,
        log: &mut RequestLog<'_>,
    ) -> Result<Success, Failure> {
        let deadline = Instant::now() + self.options.max_time;
        let (address, method) = self.route(head)?;
        log.method = method.name;
        self.check_head(head)?;
        let query = head.uri.query().unwrap_or_default();
        let mut parameters = parse_form(query, "query string", self.bounds())?;
        log.give_id(request_id(&parameters));

        let presented = Presented::in_head(&address, &parameters, &head.headers);
        let in_head = match presented {
            Some(presented) => Some(self.verify(presented, deadline, log).await?),
            None => None,
        };
        let (bounds, pool) = match in_head {
            Some(_) => (BodyBounds::known(&self.options), &self.reading.known),
            None => (BodyBounds::unknown(&self.options), &self.reading.unknown),
        };
        // The bytes count until the call is answered: the parameters made of them take as much.
        let (bytes, _reservation) = body.read(bounds, deadline, pool).await?;
        let in_body = parse_body(&head.headers, bytes, self.bounds()).await?;
        let presented = Presented::in_body(&address, &in_body);
        parameters.extend(in_body);
        log.give_id(request_id(&parameters));

        let caller = match (presented, in_head) {
            (Some(presented), _) => self.verify(presented, deadline, log).await?,
            (None, Some(known)) => known,
            (None, None) => return Err(Failure::NoAuth),
        };
        self.limit(&caller.grant)?;
        method.admit(&caller.grant)?;
        let _place = self.gate.enter()?;

        let running = self.run(method, &caller, &parameters, deadline, log);
        let running = timeout_at(deadline, running).await;
        let (result, processing) = running.unwrap_or(Err(Failure::TimedOut))?;
        Ok(Success { result, time: clock.time(processing) })
    }

    /// Finds the method of an address.
    fn route(&self, head: &Parts) -> Result<(Address, &'static Method<S>), Failure> {
        if self.gate.is_closed() {
            return Err(Failure::Stopping);
        }
        if !self.has_valid_host(head.version, &head.headers) {
            return Err(Malformed::Host.into());
        }
        if Self::is_probe(head.uri.path()) {
            return Err(Failure::ReadOnly);
        }
        if !matches!(head.method, Verb::GET | Verb::POST) {
            return Err(Failure::Verb);
        }
        let address = Address::parse(head.uri.path());
        let method = Method::find(address.method()?)?;
        Ok((address, method))
    }

    /// Returns whether a request names its host as HTTP/1.1 requires. Only asked by a server of
    /// ours: what a router is handed may have come in any way.
    pub(crate) fn has_valid_host(&self, version: Version, headers: &HeaderMap) -> bool {
        !self.requires_host
            || version != Version::HTTP_11
            || headers.get_all(HOST).iter().count() == 1
    }

    fn check_head(&self, head: &Parts) -> Result<(), Failure> {
        let address = head.uri.path_and_query();
        let address = address.map_or(0, |address| address.as_str().len());
        let fields = head.headers.iter();
        let fields = fields.map(|(name, value)| name.as_str().len() + value.len());
        let max = self.options.max_head;
        if address + fields.sum::<usize>() > max {
            return Err(Malformed::HeadTooLong(max).into());
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        Bounds { depth: self.options.max_depth, count: self.options.max_parameters }
    }

    /// Asks the credentials about what was presented.
    async fn verify(
        &self,
        presented: Presented,
        deadline: Instant,
        log: &mut RequestLog<'_>,
    ) -> Result<Known<'_, C>, Failure> {
        let grant = timeout_at(deadline, presented.verify(&self.credentials)).await;
        let grant = grant.unwrap_or(Err(Failure::TimedOut))?;
        log.origin.granted(&grant);
        let credentials = &self.credentials;
        let presentation = Presentation { credentials, presented };
        Ok(Known { presentation, grant })
    }

    /// Holds a credential to the rate limit.
    fn limit(&self, grant: &Grant) -> Result<(), Failure> {
        let buckets = self.buckets.as_ref();
        buckets.map_or(Ok(()), |buckets| buckets.pour(&grant.credential))
    }

    /// Runs the method. Returns also how long it took.
    async fn run(
        &self,
        method: &Method<S>,
        caller: &Known<'_, C>,
        parameters: &Array,
        deadline: Instant,
        log: &mut RequestLog<'_>,
    ) -> Result<(Output, Duration), Failure> {
        log.request_id();
        let context = Context {
            store: &self.store,
            caller: &caller.presentation,
            grant: &caller.grant,
            bounds: self.bounds(),
            batch_deadline: deadline - batch_margin(self.options.max_time),
            readiness: &self.readiness,
            telemetry: &self.telemetry,
            origin: &log.origin,
        };
        let clock = Clock::start();
        let output = method.run(&context, parameters, &mut log.subject).await?;
        Ok((output, clock.elapsed()))
    }

    /// Returns where a request comes from.
    pub(crate) fn peer(&self, head: &Parts) -> Option<IpAddr> {
        let forwarded = self.options.trust_forwarded.then_some(&head.headers);
        forwarded.and_then(last_hop).or_else(|| {
            let ConnectInfo(peer) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.ip())
        })
    }
}

/// Returns the time that a batch keeps for its answer: its last command ends so much before the
/// request's time is up.
fn batch_margin(max_time: Duration) -> Duration {
    (max_time / 10).min(Duration::from_secs(1))
}

/// Returns the last address of `X-Forwarded-For`, the one that the nearest proxy added. The header
/// `Forwarded` is not read: a proxy that knows only one of the two hands through whatever a client
/// wrote into the other.
fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn request_id(parameters: &Array) -> Option<String> {
    parameters.get("bx24_request_id").and_then(Value::to_text)
}
