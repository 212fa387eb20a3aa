//! A router over a small world, and helpers to send requests to it.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use crm_chat_credentials::{CredentialStore, MemoryCredentials, Scopes};
use crm_chat_domain::{Snapshot, Store, UserId};
use crm_chat_memory::Memory;
use crm_chat_rest::{Options, router};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::log::enable_all_events;

pub(crate) const DELETE: &str = "imopenlines.crm.chat.user.delete";

/// Returns the world of these tests. User 1 is the caller, who may remove users from chat 8773 of
/// deal 288, but not from chat 9 of deal 289. Lead 5 has no chat.
pub(crate) fn world() -> Snapshot {
    let world = json!({
        "users": [{"id": 1, "active": true}, {"id": 7, "active": true}, {"id": 12, "active": true},
                  {"id": 13, "active": false}, {"id": 14, "active": true}],
        "chats": [{"id": 9, "members": [12]}, {"id": 8773, "owner": 7, "members": [7, 12, 13]}],
        "links": [{"entity": {"type": "deal", "id": 288}, "chat": 8773},
                  {"entity": {"type": "deal", "id": 289}, "chat": 9}],
        "access": [{"user": 1, "entity": {"type": "lead", "id": 5}},
                   {"user": 1, "entity": {"type": "deal", "id": 288}},
                   {"user": 1, "entity": {"type": "deal", "id": 289}}],
        "removers": [{"user": 1, "chat": 8773}],
    });
    serde_json::from_value(world).expect("the world is a snapshot")
}

/// Secrets and tokens by the placeholders that represent them in requests.
#[derive(Clone, Debug)]
pub(crate) struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    pub(crate) async fn issue(credentials: &MemoryCredentials) -> Self {
        // Every test that serves requests issues its secrets first.
        enable_all_events();
        let user = |id: i64| UserId::new(id).expect("an id");
        let scopes: Scopes = ["imopenlines"].into_iter().collect();
        let hour = Duration::from_hours(1);
        let webhook = async |id, scopes| {
            let issued = credentials.add_webhook(user(id), scopes).await;
            issued.expect("a webhook").secret.expose().to_owned()
        };
        let token = async |lifetime| {
            let issued = credentials.add_token(user(1), scopes.clone(), lifetime).await;
            issued.expect("a token").secret.expose().to_owned()
        };
        Self(vec![
            ("{secret}", webhook(1, scopes.clone()).await),
            ("{scopeless}", webhook(1, Scopes::default()).await),
            ("{inactive}", webhook(13, scopes.clone()).await),
            ("{unknown}", webhook(99, scopes.clone()).await),
            ("{token}", token(hour).await),
            ("{expired}", token(Duration::ZERO).await),
            ("{long}", "x".repeat(1000)),
        ])
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        let fill = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        self.0.iter().fold(text.to_owned(), fill)
    }
}

/// Returns options with the low limits that the golden files expect.
pub(crate) fn low_limits() -> Options {
    let mut options = Options::default();
    options.max_body = 1000;
    options.max_head = 1024;
    options.max_depth = 4;
    options.max_parameters = 16;
    options
}

/// A router over a store, and the secrets of its webhooks and tokens.
pub(crate) struct TestRouter {
    pub(crate) router: Router,
    pub(crate) secrets: Secrets,
}

impl TestRouter {
    pub(crate) async fn over(store: impl Store + 'static, options: Options) -> Self {
        let credentials = MemoryCredentials::new().expect("randomness is available");
        let secrets = Secrets::issue(&credentials).await;
        let router = router(store, credentials, options);
        Self { router, secrets }
    }

    /// Creates a router over a world in memory, with the default options.
    pub(crate) async fn new(world: &Snapshot) -> Self {
        Self::over(memory(world).await, Options::default()).await
    }

    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        let response = self.router.clone().oneshot(request).await;
        response.unwrap_or_else(|never| match never {})
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> ApiResponse {
        ApiResponse::read(self.respond(request).await).await
    }

    /// Returns the status and the body of a probe.
    pub(crate) async fn probe(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty());
        let response = self.respond(request.expect("a request")).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        let text = String::from_utf8(body.to_bytes().into()).expect("text");
        (status, text)
    }

    /// Returns the value of a metric, given its name and labels, or 0 if it is missing.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, metrics) = self.probe("/metrics").await;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Sends a GET request for a path with placeholders.
    pub(crate) async fn get(&self, path: &str) -> ApiResponse {
        let request = Request::get(self.secrets.fill(path)).body(Body::empty());
        self.send(request.expect("a request")).await
    }
}

pub(crate) async fn memory(world: &Snapshot) -> Memory {
    let store = Memory::new();
    store.load(world).await.expect("the world is valid");
    store
}

/// A response with a JSON body.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) body: Json,
}

impl ApiResponse {
    pub(crate) async fn read(response: Response) -> Self {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let json = "application/json; charset=utf-8";
        assert_eq!(content_type.and_then(|value| value.to_str().ok()), Some(json));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&body).expect("a JSON body");
        Self { status, body }
    }

    /// Checks the object `time`, which is different each time, and returns the body without it.
    #[track_caller]
    pub(crate) fn without_time(mut self) -> Json {
        if self.status == 200 {
            assert_time(&self.body["time"]);
            self.body.as_object_mut().expect("an object").remove("time");
        }
        self.body
    }
}

/// Asserts that an object `time` is plausible.
#[track_caller]
pub(crate) fn assert_time(time: &Json) {
    let number = |name: &str| time[name].as_f64().unwrap_or_else(|| panic!("{name} in {time}"));
    let [start, finish] = ["start", "finish"].map(number);
    assert!(start > 1.7e9 && finish >= start, "{time}");
    let [duration, processing, operating] = ["duration", "processing", "operating"].map(number);
    assert!(duration >= processing && processing >= 0.0 && duration < 60.0, "{time}");
    assert!((0.0..60.0).contains(&operating), "{time}");
    assert!((finish - start - duration).abs() < 1e-5, "{time}");
    let reset = time["operating_reset_at"].as_u64().expect("a whole number");
    for (name, seconds) in [("date_start", start), ("date_finish", finish)] {
        let date = time[name].as_str().expect("a date");
        assert!(date.len() == 25 && date.ends_with("+00:00"), "{date}");
        let date: crm_chat_domain::Timestamp = date.parse().expect("a date");
        let since = seconds - f64::from(u32::try_from(date.seconds()).expect("a time"));
        assert!((-1e-5..1.00001).contains(&since), "{time}");
        assert!(date.seconds() <= i64::try_from(reset).expect("a time"), "{time}");
    }
    assert_eq!(time.as_object().map(serde_json::Map::len), Some(8), "{time}");
}
