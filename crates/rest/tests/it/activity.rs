//! Callers who are deactivated, or lose their webhook or token, during a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use crm_chat_conformance::doubles::{Fault, Faulty, Gate, PortCall};
use crm_chat_credentials::{CredentialKind, CredentialStore, MemoryCredentials, Scopes};
use crm_chat_domain::{Edit, UserId};
use crm_chat_memory::Memory;
use crm_chat_rest::{Options, router};
use serde_json::json;

use crate::support::{ApiResponse, DELETE, Secrets, TestRouter, memory, world};

const REMOVED: [u8; 3] = [7, 12, 13];

/// Returns a batch that removes several users.
fn batch(users: &[u8]) -> String {
    let commands: Vec<_> = users
        .iter()
        .map(|user| format!("{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID={user}"))
        .collect();
    json!({"cmd": commands}).to_string()
}

fn request(path: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/json")
        .body(body.into())
        .expect("a request")
}

struct World {
    store: Faulty<Memory>,
    credentials: Arc<MemoryCredentials>,
    clock: Arc<AtomicU64>,
    router: Arc<TestRouter>,
}

impl World {
    async fn new() -> Self {
        let store = Faulty::new(memory(&world()).await);
        let clock = Arc::new(AtomicU64::new(1_700_000_000));
        let seconds = Arc::clone(&clock);
        let credentials = MemoryCredentials::new().expect("randomness is available");
        let credentials = Arc::new(credentials.with_clock(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst))
        }));
        let secrets = Secrets::issue(&credentials).await;
        let router = router(store.clone(), Arc::clone(&credentials), Options::default());
        let router = Arc::new(TestRouter { router, secrets });
        Self { store, credentials, clock, router }
    }

    /// Sends a request, suspends it at the start of its `n`-th transaction, and runs `meanwhile`.
    async fn send_and_interrupt(
        &self,
        request: Request<Body>,
        n: usize,
        meanwhile: impl AsyncFnOnce(&Self),
    ) -> ApiResponse {
        let gate = Gate::default();
        self.store.inject(self.nth_begin(n).await, Fault::StallBefore(gate.clone()));
        let router = Arc::clone(&self.router);
        let asking = tokio::spawn(async move { router.send(request).await });
        let reached = tokio::time::timeout(Duration::from_mins(1), gate.reached()).await;
        reached.expect("the transaction begins");
        meanwhile(self).await;
        gate.open();
        asking.await.expect("a response")
    }

    /// Returns the number of the port call that begins the `n`-th transaction of the batch,
    /// according to a run in another world.
    async fn nth_begin(&self, n: usize) -> usize {
        let like = Self::new().await;
        let path = like.router.secrets.fill("/rest/1/{secret}/batch");
        like.router.send(request(&path, batch(&REMOVED))).await;
        let calls = like.store.calls();
        let begins = calls.iter().enumerate().filter(|(_, call)| **call == PortCall::Begin);
        begins.map(|(index, _)| index + 1).nth(n - 1).expect("enough transactions")
    }

    async fn deactivate_caller(&self) {
        let user = UserId::new(1).expect("an id");
        let edited = self.store.inner().edit(&Edit::DeactivateUser { user }).await;
        edited.expect("the edit succeeds");
    }

    async fn removed(&self) -> Vec<i64> {
        let log = self.store.inner().log(0, usize::MAX).await;
        log.iter().map(|entry| entry.record.user.get()).collect()
    }
}

#[track_caller]
fn assert_interrupted(response: &ApiResponse, code: &str) {
    assert_eq!(response.status, 200, "{response:?}");
    let result = &response.body["result"];
    assert_eq!(result["result"], json!([8773]), "{response:?}");
    for command in ["1", "2"] {
        assert_eq!(result["result_error"][command]["error"], code, "{response:?}");
    }
}

#[tokio::test]
async fn caller_deactivated_during_a_batch_cannot_remove_further_users() {
    let world = World::new().await;
    let path = world.router.secrets.fill("/rest/1/{secret}/batch");
    // The first transaction checks the caller of the batch. Each command has one of its own.
    let request = request(&path, batch(&REMOVED));
    let response =
        world.send_and_interrupt(request, 3, async |world| world.deactivate_caller().await).await;
    assert_interrupted(&response, "authorization_error");
    assert_eq!(world.removed().await, [7]);
}

#[tokio::test]
async fn caller_activity_is_checked_in_the_transaction_of_the_removal() {
    let world = World::new().await;
    let path = format!("/rest/1/{{secret}}/{DELETE}?CRM_ENTITY_TYPE=deal&CRM_ENTITY=288&USER_ID=");
    let response = world.router.get(&format!("{path}7")).await;
    assert_eq!(response.status, 200, "{response:?}");
    let user = UserId::new(1).expect("an id");
    let calls = world.store.calls();
    assert_eq!(calls[..2], [PortCall::Begin, PortCall::IsActive { user }]);
    let begins = calls.iter().filter(|call| **call == PortCall::Begin);
    assert_eq!(begins.count(), 1, "{calls:?}");

    world.deactivate_caller().await;
    let response = world.router.get(&format!("{path}12")).await;
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.body["error"], "authorization_error");
    assert_eq!(world.removed().await, [7]);
}

#[tokio::test]
async fn webhook_revoked_during_a_batch_cannot_remove_further_users() {
    let world = World::new().await;
    let path = world.router.secrets.fill("/rest/1/{secret}/batch");
    let request = request(&path, batch(&REMOVED));
    let response = world
        .send_and_interrupt(request, 2, async |world| {
            let webhook = CredentialKind::Webhook.id(1);
            let revoked = world.credentials.revoke(&webhook).await;
            assert!(revoked.expect("revoking succeeds"));
        })
        .await;
    assert_interrupted(&response, "INVALID_CREDENTIALS");
    assert_eq!(world.removed().await, [7]);
}

#[tokio::test]
async fn token_expired_during_a_batch_cannot_remove_further_users() {
    for in_header in [false, true] {
        let world = World::new().await;
        let scopes: Scopes = ["imopenlines"].into_iter().collect();
        let user = UserId::new(1).expect("an id");
        let minute = Duration::from_mins(1);
        let token = world.credentials.add_token(user, scopes, minute).await;
        let token = token.expect("a token").secret;
        let mut request = request("/rest/batch", batch(&REMOVED));
        if in_header {
            let bearer = format!("Bearer {}", token.expose()).parse();
            let headers = request.headers_mut();
            headers.insert("authorization", bearer.expect("a value"));
        } else {
            let uri = format!("/rest/batch?auth={}", token.expose()).parse();
            *request.uri_mut() = uri.expect("an address");
        }
        let response = world
            .send_and_interrupt(request, 2, async |world| {
                world.clock.fetch_add(60, Ordering::SeqCst);
            })
            .await;
        assert_interrupted(&response, "expired_token");
        assert_eq!(world.removed().await, [7]);
    }
}
