//! Two servers share a store, while callers are deactivated and secrets are revoked.

#![cfg(unix)]

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crm_chat_conformance::linearizability::{Completion, Event, History, check};
use crm_chat_conformance::model::{Operation, RemovalCall, Response};
use crm_chat_credentials::{CredentialId, CredentialStore, Scopes, SqliteCredentials};
use crm_chat_domain::snapshot::{EditError, Link, RemovalRight};
use crm_chat_domain::{
    Answer, Argument, Change, ChatId, Edit, Entity, Outcome, OwnerChange, Refusal, Removal,
    Snapshot, StoreErrorKind, UserId,
};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;
use serde_json::{Value, json};

use crate::server_process::{HttpConnection, ServerProcess, TEST_TIMEOUT};
use crate::support::TestDir;

const DELETE: &str = "imopenlines.crm.chat.user.delete";
const ACTORS: [i64; 2] = [1, 2];
/// A user who may remove users from [`AUDITED`]. See [`probe`].
const AUDITOR: i64 = 3;
/// A chat without members, which no operation changes.
const AUDITED: i64 = 12;
const CLIENTS: usize = 32;
/// The number of requests of each client.
const REQUESTS: usize = 12;

/// Returns a world whose chats have no owners, because an answer does not include a change of
/// owner.
fn small_world() -> Snapshot {
    let users: Vec<_> =
        (1..=AUDITOR).chain(20..30).map(|id| json!({"id": id, "active": true})).collect();
    let deal = json!({"type": "deal", "id": 1});
    let lead = json!({"type": "lead", "id": 2});
    let company = json!({"type": "company", "id": 9});
    serde_json::from_value(json!({
        "users": users,
        "chats": [
            {"id": 10, "members": (20..30).collect::<Vec<_>>()},
            {"id": 11, "members": (20..25).collect::<Vec<_>>()},
            {"id": AUDITED},
        ],
        "links": [
            {"entity": deal, "chat": 10},
            {"entity": deal, "chat": 11},
            {"entity": lead, "chat": 10},
            {"entity": company, "chat": AUDITED},
        ],
        "access": [
            {"user": 1, "entity": deal},
            {"user": 1, "entity": lead},
            {"user": 2, "entity": deal},
            {"user": AUDITOR, "entity": company},
        ],
        "removers": [
            {"user": 1, "chat": 10},
            {"user": 1, "chat": 11},
            {"user": 2, "chat": 11},
            {"user": AUDITOR, "chat": AUDITED},
        ],
    }))
    .unwrap()
}

/// A generator of pseudo-random numbers, removals and edits. A seed always gives the same sequence.
struct Generator(u64);

impl Generator {
    /// Returns a number from 0 to `end` - 1.
    fn below(&mut self, end: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % end.unsigned_abs()).unwrap()
    }

    fn actor(&mut self) -> UserId {
        UserId::new(ACTORS[usize::try_from(self.below(2)).unwrap()]).unwrap()
    }

    fn removal(&mut self) -> (UserId, Removal) {
        let actor = self.actor();
        let entity =
            ["deal:1", "deal:1", "lead:2", "contact:3"][usize::try_from(self.below(4)).unwrap()];
        let user = UserId::new(20 + self.below(10)).unwrap();
        let removal = Removal::new(entity.parse().unwrap(), user);
        let chat = [None, Some(10), Some(11)][usize::try_from(self.below(3)).unwrap()];
        let removal = chat.map_or(removal, |chat| removal.in_chat(ChatId::new(chat).unwrap()));
        (actor, removal)
    }

    fn edit(&mut self) -> Edit {
        let chat = ChatId::new(10 + self.below(2)).unwrap();
        let user = UserId::new(20 + self.below(10)).unwrap();
        let entity: Entity = "deal:1".parse().unwrap();
        let remover = RemovalRight { user: UserId::new(2).unwrap(), chat };
        match self.below(14) {
            0 => Edit::Leave { chat, user },
            1 => Edit::DeactivateUser { user },
            2 => Edit::ActivateUser { user },
            3 => Edit::Link(Link { entity, chat }),
            4 => Edit::GrantRemoval(remover),
            5 => Edit::RevokeRemoval(remover),
            6 => Edit::DeactivateUser { user: self.actor() },
            7..=9 => Edit::ActivateUser { user: self.actor() },
            _ => Edit::Join { chat, user },
        }
    }
}

/// A response of the server, parsed.
#[derive(Clone, Copy)]
enum ParsedResponse {
    Answer(Answer),
    /// The caller was not active.
    Inactive,
    /// The secret was not valid.
    InvalidSecret,
    Failed(StoreErrorKind),
}

/// Parses a response to a removal.
fn parse_response(actor: UserId, removal: &Removal, status: u16, body: &Value) -> ParsedResponse {
    let &Removal { entity, user, .. } = removal;
    match (status, body["error"].as_str()) {
        (200, _) => {
            ParsedResponse::Answer(Ok(match ChatId::new(body["result"].as_i64().unwrap()) {
                None => Outcome::NoChat,
                Some(chat) => Outcome::Removed(Change {
                    chat,
                    user,
                    actor,
                    entity,
                    owner: OwnerChange::Unchanged,
                }),
            }))
        }
        (503, _) => ParsedResponse::Failed(StoreErrorKind::Unavailable),
        (500, _) => ParsedResponse::Failed(StoreErrorKind::OutcomeUnknown),
        (_, Some("authorization_error")) => ParsedResponse::Inactive,
        (_, Some("INVALID_CREDENTIALS")) => ParsedResponse::InvalidSecret,
        _ => ParsedResponse::Answer(Err(parse_refusal(actor, removal, body))),
    }
}

/// Finds the refusal with the code and description of a response. Its ids are only in the
/// description.
fn parse_refusal(actor: UserId, removal: &Removal, body: &Value) -> Refusal {
    let &Removal { entity, user, .. } = removal;
    let about_chats = [10, 11].map(|id| ChatId::new(id).unwrap()).into_iter().flat_map(|chat| {
        [
            Refusal::ChatNotInCrm { chat, entity },
            Refusal::RemovalDenied { actor, chat, entity },
            Refusal::NotAMember { user, chat },
        ]
    });
    let mut refusals = about_chats.chain([
        Refusal::AccessDenied { actor, entity },
        Refusal::UserNotActive { user },
        Refusal::InvalidArgument(Argument::ChatId),
    ]);
    let matches = |refusal: &Refusal| {
        body["error"] == refusal.code() && body["error_description"] == refusal.to_string()
    };
    refusals.find(matches).unwrap_or_else(|| panic!("unknown refusal: {body}"))
}

/// Requests a removal, by a call or as the only command of a batch.
fn request_removal(
    connection: &mut HttpConnection,
    address: &str,
    removal: &Removal,
    in_batch: bool,
) -> io::Result<(u16, Value)> {
    let mut parameters = json!({
        "CRM_ENTITY_TYPE": removal.entity.kind.as_str(),
        "CRM_ENTITY": removal.entity.id.get(),
        "USER_ID": removal.user.get(),
    });
    if let Some(chat) = removal.chat {
        parameters["CHAT_ID"] = json!(chat.get());
    }
    if !in_batch {
        return connection.post(&format!("{address}{DELETE}"), &parameters);
    }
    let pairs = parameters.as_object().unwrap().iter();
    let query: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"')))
        .collect();
    let command = format!("{DELETE}?{}", query.join("&"));
    let (status, body) =
        connection.post(&format!("{address}batch"), &json!({"cmd": {"a": command}}))?;
    let sections = &body["result"];
    let error = &sections["result_error"]["a"];
    Ok(match error["error"].as_str() {
        _ if status != 200 => (status, body),
        None => (200, json!({"result": sections["result"]["a"]})),
        Some("OVERLOAD_LIMIT") => (503, error.clone()),
        Some("INTERNAL_SERVER_ERROR") => (500, error.clone()),
        Some(_) => (400, error.clone()),
    })
}

/// Returns a removal whose answer by the model says whether a caller is active.
///
/// The auditor removes the caller from a chat of which the caller is not a member. Only the rules
/// about the removed user can fail.
fn probe(caller: UserId) -> RemovalCall {
    let removal = Removal::new("company:9".parse().unwrap(), caller);
    RemovalCall::new(UserId::new(AUDITOR).unwrap(), &removal)
}

/// Records a history of removals and edits.
///
/// The server refuses calls on behalf of a user who is not active, but the model does not check the
/// actor. A [`probe`] in the recorded transaction makes up for it.
#[derive(Default)]
struct Recording {
    clock: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recording {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn push(
        &self,
        invoked_at: u64,
        completed_at: Option<u64>,
        operation: Operation,
        completion: Completion,
    ) {
        self.events.lock().unwrap().push(Event { operation, invoked_at, completed_at, completion });
    }

    /// Records a response as the answers to two removals in one transaction: the probe and the
    /// removal. For a caller who is not active, only the probe is recorded.
    fn record_response(
        &self,
        invoked_at: u64,
        caller: UserId,
        removal: &Removal,
        response: ParsedResponse,
    ) {
        let chat = ChatId::new(AUDITED).unwrap();
        let active = Err(Refusal::NotAMember { user: caller, chat });
        let inactive = Err(Refusal::UserNotActive { user: caller });
        let call = RemovalCall::new(caller, removal);
        let (calls, completion) = match response {
            ParsedResponse::Answer(answer) => {
                (vec![probe(caller), call], Completion::Ok(Response::Answers(vec![active, answer])))
            }
            ParsedResponse::Inactive => {
                (vec![probe(caller)], Completion::Ok(Response::Answers(vec![inactive])))
            }
            ParsedResponse::InvalidSecret => {
                (vec![call], Completion::Fail(StoreErrorKind::Unavailable))
            }
            ParsedResponse::Failed(kind) => (vec![call], Completion::Fail(kind)),
        };
        let completed_at = Some(self.now());
        self.push(invoked_at, completed_at, Operation::RemoveMany(calls), completion);
    }

    /// Records a removal whose response was lost. The model may perform it even if the caller is
    /// not active.
    fn record_lost(&self, invoked_at: u64, caller: UserId, removal: &Removal) {
        let call = RemovalCall::new(caller, removal);
        self.push(invoked_at, None, Operation::Remove(call), Completion::Indeterminate);
    }

    fn record_edit(&self, invoked_at: u64, edit: Edit, result: Result<(), EditError>) {
        let completion = match result {
            Ok(()) => Completion::Ok(Response::Edited(Ok(()))),
            Err(EditError::Rejected(rejection)) => Completion::Ok(Response::Edited(Err(rejection))),
            Err(EditError::Store(error)) => Completion::Fail(error.kind()),
        };
        let completed_at = Some(self.now());
        self.push(invoked_at, completed_at, Operation::Edit(edit), completion);
    }
}

/// A webhook, and the progress of its revocation.
struct Secret {
    id: CredentialId,
    path: String,
    /// Set before the revocation: from now on, the secret may be invalid.
    revoking: AtomicBool,
    /// Set after the revocation: from now on, the secret must be invalid.
    revoked: AtomicBool,
}

/// The secrets of the actors, oldest first.
struct Secrets {
    file: SqliteCredentials,
    issued: [Mutex<Vec<Arc<Secret>>>; ACTORS.len()],
}

impl Secrets {
    fn create(dir: &TestDir) -> Self {
        let file = dir.path("crm-chat-credentials.db");
        let secrets = Self {
            file: block_on(SqliteCredentials::open_or_create(file)).unwrap(),
            issued: Default::default(),
        };
        for actor in ACTORS {
            secrets.issue(UserId::new(actor).unwrap());
        }
        secrets
    }

    fn of(&self, actor: UserId) -> &Mutex<Vec<Arc<Secret>>> {
        let index = ACTORS.iter().position(|id| *id == actor.get()).unwrap();
        &self.issued[index]
    }

    fn issue(&self, actor: UserId) {
        let scopes: Scopes = ["imopenlines"].into_iter().collect();
        let issued = block_on(self.file.add_webhook(actor, scopes)).unwrap();
        let secret = Secret {
            path: format!("/rest/{actor}/{}/", issued.secret.expose()),
            id: issued.credential.id,
            revoking: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
        };
        self.of(actor).lock().unwrap().push(Arc::new(secret));
    }

    /// Issues a secret and revokes the one before it.
    fn rotate(&self, actor: UserId) {
        let last = self.of(actor).lock().unwrap().last().cloned().unwrap();
        self.issue(actor);
        last.revoking.store(true, Ordering::SeqCst);
        assert!(block_on(self.file.revoke(&last.id)).unwrap());
        last.revoked.store(true, Ordering::SeqCst);
    }

    /// Returns the newest secret of an actor, or sometimes the one before it, which may be revoked.
    fn pick(&self, actor: UserId, generator: &mut Generator) -> Arc<Secret> {
        let issued = self.of(actor).lock().unwrap();
        let age = usize::from(generator.below(8) == 0).min(issued.len() - 1);
        Arc::clone(&issued[issued.len() - 1 - age])
    }
}

/// Two servers on one store, and all that the threads of the test share.
struct Fixture {
    dir: TestDir,
    secrets: Secrets,
    servers: [ServerProcess; 2],
    recording: Recording,
    /// The number of requests that were answered, or whose response was lost.
    done: AtomicUsize,
    /// The number of requests that were refused because the caller was not active.
    inactive: AtomicUsize,
    /// The number of requests that were refused because their secret was revoked.
    invalid: AtomicUsize,
}

impl Fixture {
    fn start(world: &Snapshot) -> Self {
        let dir = TestDir::with_store(&serde_json::to_string(world).unwrap());
        Self {
            secrets: Secrets::create(&dir),
            servers: [ServerProcess::start(&dir), ServerProcess::start(&dir)],
            recording: Recording::default(),
            done: AtomicUsize::new(0),
            inactive: AtomicUsize::new(0),
            invalid: AtomicUsize::new(0),
            dir,
        }
    }

    /// Sends the requests of one client, and records each with its response.
    fn send_requests(&self, client: usize) {
        let mut generator = Generator(client as u64);
        let mut server = client % 2;
        let mut connection = HttpConnection::open(&self.servers[server].address).unwrap();
        for number in 0..REQUESTS {
            let (actor, removal) = generator.removal();
            let secret = self.secrets.pick(actor, &mut generator);
            let revoked = secret.revoked.load(Ordering::SeqCst);
            let in_batch = number % 3 == 2;
            let invoked_at = self.recording.now();
            let responded = request_removal(&mut connection, &secret.path, &removal, in_batch);
            if let Ok((status, body)) = responded {
                let response = parse_response(actor, &removal, status, &body);
                match response {
                    ParsedResponse::Inactive => {
                        self.inactive.fetch_add(1, Ordering::SeqCst);
                    }
                    ParsedResponse::InvalidSecret => {
                        assert!(secret.revoking.load(Ordering::SeqCst), "{body}");
                        self.invalid.fetch_add(1, Ordering::SeqCst);
                        // The server closes a connection whose body it has not read.
                        connection = self.reconnect(&mut server);
                    }
                    ParsedResponse::Answer(_) => {
                        assert!(!revoked, "a revoked secret is still valid: {body}");
                    }
                    ParsedResponse::Failed(_) => {}
                }
                self.recording.record_response(invoked_at, actor, &removal, response);
            } else {
                self.recording.record_lost(invoked_at, actor, &removal);
                assert_eq!(server, 0, "the second server did not respond");
                server = 1;
                connection = self.reconnect(&mut server);
            }
            self.done.fetch_add(1, Ordering::SeqCst);
        }
        let _ = connection.0.get_ref().shutdown(Shutdown::Both);
    }

    /// Connects to a server again, or to the second one if the first was killed.
    fn reconnect(&self, server: &mut usize) -> HttpConnection {
        HttpConnection::open(&self.servers[*server].address).unwrap_or_else(|error| {
            assert_eq!(*server, 0, "{error}");
            *server = 1;
            HttpConnection::open(&self.servers[1].address).unwrap()
        })
    }

    /// Edits the store and replaces secrets until all requests are done.
    fn make_edits(&self) {
        let store = block_on(Sqlite::open(self.dir.path("crm-chat.db"))).unwrap();
        let mut generator = Generator(99);
        self.repeat_until_done(CLIENTS * REQUESTS, || {
            if generator.below(10) == 0 {
                self.secrets.rotate(generator.actor());
            }
            let edit = generator.edit();
            let invoked_at = self.recording.now();
            let result = block_on(store.edit(&edit));
            self.recording.record_edit(invoked_at, edit, result);
        });
    }

    /// Repeats a step every millisecond until a number of requests are done, for at most
    /// [`TEST_TIMEOUT`].
    fn repeat_until_done(&self, requests: usize, mut step: impl FnMut()) {
        let started = Instant::now();
        while self.done.load(Ordering::SeqCst) < requests && started.elapsed() < TEST_TIMEOUT {
            step();
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn two_servers_on_one_store_have_a_serial_history_though_one_is_killed() {
    let world = small_world();
    let fixture = Fixture::start(&world);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let fixture = &fixture;
            scope.spawn(move || fixture.send_requests(client));
        }
        scope.spawn(|| fixture.make_edits());
        fixture.repeat_until_done(CLIENTS * REQUESTS / 3, || {});
        fixture.servers[0].signal("-KILL");
    });

    let last: Snapshot = serde_json::from_str(&fixture.dir.export()).unwrap();
    let inactive = fixture.inactive.into_inner();
    let invalid = fixture.invalid.into_inner();
    assert!(
        last.removals.len() > 10 && inactive > 0 && invalid > 0,
        "too few of a kind: {} removals, {inactive} inactive, {invalid} invalid",
        last.removals.len()
    );
    let history = History::new(fixture.recording.events.into_inner().unwrap());
    if let Err(error) = check(&world, &history, &last) {
        panic!("{error}");
    }
}
