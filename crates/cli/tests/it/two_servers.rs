//! `serve`: two servers that share a store, while callers are deactivated and secrets revoked.

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

use crate::place::Place;
use crate::serving::{Connection, PATIENCE, Serving};

const DELETE: &str = "imopenlines.crm.chat.user.delete";
const ACTORS: [i64; 2] = [1, 2];
/// May remove users from a chat without members, which nothing changes. See [`probe`].
const AUDITOR: i64 = 3;
const AUDITED: i64 = 12;
const CONNECTIONS: usize = 32;
const CALLS: usize = 12;

/// Chats without owners: whose chat it was is nothing that an answer tells.
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

/// Numbers that look drawn, and are the same each time.
struct Draw(u64);

impl Draw {
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

/// The meaning of an answer on the wire.
#[derive(Clone, Copy)]
enum Meaning {
    Answer(Answer),
    /// The caller was not active.
    Inactive,
    /// The secret was not valid.
    InvalidSecret,
    Failed(StoreErrorKind),
}

/// Reads an answer. The ids of a refusal are in its description only.
fn understand(actor: UserId, removal: &Removal, status: u16, body: &Value) -> Meaning {
    let &Removal { entity, user, .. } = removal;
    match (status, body["error"].as_str()) {
        (200, _) => Meaning::Answer(Ok(match ChatId::new(body["result"].as_i64().unwrap()) {
            None => Outcome::NoChat,
            Some(chat) => Outcome::Removed(Change {
                chat,
                user,
                actor,
                entity,
                owner: OwnerChange::Unchanged,
            }),
        })),
        (503, _) => Meaning::Failed(StoreErrorKind::Unavailable),
        (500, _) => Meaning::Failed(StoreErrorKind::OutcomeUnknown),
        (_, Some("authorization_error")) => Meaning::Inactive,
        (_, Some("INVALID_CREDENTIALS")) => Meaning::InvalidSecret,
        _ => Meaning::Answer(Err(refusal(actor, removal, body))),
    }
}

fn refusal(actor: UserId, removal: &Removal, body: &Value) -> Refusal {
    let &Removal { entity, user, .. } = removal;
    let of_a_chat = [10, 11].map(|id| ChatId::new(id).unwrap()).into_iter().flat_map(|chat| {
        [
            Refusal::ChatNotInCrm { chat, entity },
            Refusal::RemovalDenied { actor, chat, entity },
            Refusal::NotAMember { user, chat },
        ]
    });
    let mut refusals = of_a_chat.chain([
        Refusal::AccessDenied { actor, entity },
        Refusal::UserNotActive { user },
        Refusal::InvalidArgument(Argument::ChatId),
    ]);
    let said = |refusal: &Refusal| {
        body["error"] == refusal.code() && body["error_description"] == refusal.to_string()
    };
    refusals.find(said).unwrap_or_else(|| panic!("what is {body}?"))
}

/// Asks for a removal, by itself or as the only command of a batch.
fn ask(
    connection: &mut Connection,
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

/// A removal of the caller from a chat of which the caller is not a member, which is asked by the
/// auditor. No rule but those of the user can fail, so the model's answer says whether the caller
/// is active.
fn probe(caller: UserId) -> RemovalCall {
    let removal = Removal::new("company:9".parse().unwrap(), caller);
    RemovalCall::new(UserId::new(AUDITOR).unwrap(), &removal)
}

/// Records a history in which the activity of callers counts, which the model does not ask.
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

    /// Records an answer as that to two removals in one transaction: the probe and the removal. A
    /// caller who is not active is answered the probe alone.
    fn answered(&self, invoked_at: u64, caller: UserId, removal: &Removal, meaning: Meaning) {
        let chat = ChatId::new(AUDITED).unwrap();
        let active = Err(Refusal::NotAMember { user: caller, chat });
        let inactive = Err(Refusal::UserNotActive { user: caller });
        let call = RemovalCall::new(caller, removal);
        let (calls, completion) = match meaning {
            Meaning::Answer(answer) => {
                (vec![probe(caller), call], Completion::Ok(Response::Answers(vec![active, answer])))
            }
            Meaning::Inactive => {
                (vec![probe(caller)], Completion::Ok(Response::Answers(vec![inactive])))
            }
            Meaning::InvalidSecret => (vec![call], Completion::Fail(StoreErrorKind::Unavailable)),
            Meaning::Failed(kind) => (vec![call], Completion::Fail(kind)),
        };
        let completed_at = Some(self.now());
        self.push(invoked_at, completed_at, Operation::RemoveMany(calls), completion);
    }

    /// Records a removal whose answer was lost. The model makes it for an inactive caller too.
    fn lost(&self, invoked_at: u64, caller: UserId, removal: &Removal) {
        let call = RemovalCall::new(caller, removal);
        self.push(invoked_at, None, Operation::Remove(call), Completion::Indeterminate);
    }

    fn edited(&self, invoked_at: u64, edit: Edit, result: Result<(), EditError>) {
        let completion = match result {
            Ok(()) => Completion::Ok(Response::Edited(Ok(()))),
            Err(EditError::Rejected(rejection)) => Completion::Ok(Response::Edited(Err(rejection))),
            Err(EditError::Store(error)) => Completion::Fail(error.kind()),
        };
        let completed_at = Some(self.now());
        self.push(invoked_at, completed_at, Operation::Edit(edit), completion);
    }
}

/// A webhook's secret, and how far it is revoked.
struct Secret {
    id: CredentialId,
    path: String,
    revoking: AtomicBool,
    revoked: AtomicBool,
}

/// The secrets of the actors, of which new ones replace old ones.
struct Secrets {
    file: SqliteCredentials,
    issued: [Mutex<Vec<Arc<Secret>>>; ACTORS.len()],
}

impl Secrets {
    fn in_place(place: &Place) -> Self {
        let file = place.path("crm-chat-credentials.db");
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
        let place = ACTORS.iter().position(|id| *id == actor.get()).unwrap();
        &self.issued[place]
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

    /// Returns the newest secret of an actor, now and then one that may be revoked.
    fn draw(&self, actor: UserId, draw: &mut Draw) -> Arc<Secret> {
        let issued = self.of(actor).lock().unwrap();
        let age = usize::from(draw.below(8) == 0).min(issued.len() - 1);
        Arc::clone(&issued[issued.len() - 1 - age])
    }
}

/// Connects to a server, or to the second one if that is the first and was killed.
fn reopen(servers: &[Serving; 2], server: &mut usize) -> Connection {
    Connection::open(&servers[*server].address).unwrap_or_else(|error| {
        assert_eq!(*server, 0, "{error}");
        *server = 1;
        Connection::open(&servers[1].address).unwrap()
    })
}

#[test]
fn two_servers_on_one_file_of_which_one_is_killed_have_a_serial_history() {
    let world = small_world();
    let place = Place::holding(&serde_json::to_string(&world).unwrap());
    let secrets = Secrets::in_place(&place);
    let servers = [Serving::in_place(&place), Serving::in_place(&place)];
    let recording = Recording::default();
    let [answered, inactive, invalid] = [const { AtomicUsize::new(0) }; 3];

    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (recording, servers, secrets) = (&recording, &servers, &secrets);
            let (answered, inactive, invalid) = (&answered, &inactive, &invalid);
            scope.spawn(move || {
                let mut draw = Draw(number as u64);
                let mut server = number % 2;
                let mut connection = Connection::open(&servers[server].address).unwrap();
                for call in 0..CALLS {
                    let (actor, removal) = draw.removal();
                    let secret = secrets.draw(actor, &mut draw);
                    let revoked = secret.revoked.load(Ordering::SeqCst);
                    let invoked_at = recording.now();
                    let asked = ask(&mut connection, &secret.path, &removal, call % 3 == 2);
                    if let Ok((status, body)) = asked {
                        let meaning = understand(actor, &removal, status, &body);
                        match meaning {
                            Meaning::Inactive => drop(inactive.fetch_add(1, Ordering::SeqCst)),
                            Meaning::InvalidSecret => {
                                assert!(secret.revoking.load(Ordering::SeqCst), "{body}");
                                invalid.fetch_add(1, Ordering::SeqCst);
                                // The server closes the connection if it has not read the body.
                                connection = reopen(servers, &mut server);
                            }
                            Meaning::Answer(_) => {
                                assert!(!revoked, "a revoked secret is answered {body}");
                            }
                            Meaning::Failed(_) => {}
                        }
                        recording.answered(invoked_at, actor, &removal, meaning);
                    } else {
                        recording.lost(invoked_at, actor, &removal);
                        assert_eq!(server, 0, "the other server answers");
                        server = 1;
                        connection = reopen(servers, &mut server);
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                let _ = connection.0.get_ref().shutdown(Shutdown::Both);
            });
        }
        scope.spawn(|| {
            let store = block_on(Sqlite::open(place.path("crm-chat.db"))).unwrap();
            let mut draw = Draw(99);
            let started = Instant::now();
            while answered.load(Ordering::SeqCst) < CONNECTIONS * CALLS
                && started.elapsed() < PATIENCE
            {
                if draw.below(10) == 0 {
                    secrets.rotate(draw.actor());
                }
                let edit = draw.edit();
                let invoked_at = recording.now();
                let result = block_on(store.edit(&edit));
                recording.edited(invoked_at, edit, result);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let started = Instant::now();
        while answered.load(Ordering::SeqCst) < CONNECTIONS * CALLS / 3
            && started.elapsed() < PATIENCE
        {
            thread::sleep(Duration::from_millis(1));
        }
        servers[0].signal("-KILL");
    });

    let last: Snapshot = serde_json::from_str(&place.export()).unwrap();
    let inactive = inactive.into_inner();
    let invalid = invalid.into_inner();
    assert!(
        last.removals.len() > 10 && inactive > 0 && invalid > 0,
        "the mix has some of each: {} removals, {inactive} inactive, {invalid} invalid",
        last.removals.len()
    );
    let history = History::new(recording.events.into_inner().unwrap());
    if let Err(error) = check(&world, &history, &last) {
        panic!("{error}");
    }
}
