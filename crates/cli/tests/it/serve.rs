//! `serve`: the program as a server, of which several share a store.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crm_chat_conformance::linearizability::{Recorder, check};
use crm_chat_conformance::model::{Operation, RemovalCall, Response};
use crm_chat_domain::{
    Answer, Argument, Change, ChatId, Edit, EditError, Entity, Link, Outcome, OwnerChange, Refusal,
    Removal, Remover, Snapshot, StoreErrorKind, UserId,
};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;
use serde_json::{Value, json};

use crate::place::{Place, WORLD};

/// Where a server's log goes.
const LOG: &str = "serve.log";

/// After which a test that hangs has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server of the program's.
struct Serving {
    child: Child,
    /// Kept open: the program may still print.
    _out: BufReader<ChildStdout>,
    address: String,
    curl: String,
}

impl Serving {
    fn in_place(place: &Place) -> Self {
        // A pipe that nobody reads would stop the server once it is full.
        let log = File::create(place.path(LOG)).unwrap();
        let mut program = place.program(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = program.stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let [mut first, mut curl] = [String::new(), String::new()];
        out.read_line(&mut first).unwrap();
        out.read_line(&mut curl).unwrap();
        let address = first
            .trim()
            .rsplit_once('/')
            .map(|(_, address)| address.to_owned());
        let address = address.unwrap_or_else(|| panic!("no address in {first:?}"));
        Self {
            child,
            _out: out,
            address,
            curl,
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

/// So that a test that fails leaves no server behind.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that asks one thing after another.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn post(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.send(path, &body.to_string())
    }

    fn send(&mut self, path: &str, body: &str) -> io::Result<(u16, Value)> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.0
            .get_mut()
            .write_all(format!("{head}{body}").as_bytes())?;

        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        while line.trim() != "" {
            line.clear();
            self.0.read_line(&mut line)?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        Ok((
            status,
            serde_json::from_slice(&answer).unwrap_or(Value::Null),
        ))
    }
}

fn secret(place: &Place, user: i64) -> String {
    place
        .run(&format!("webhook add --user {user}"))
        .succeeded()
        .out
        .trim()
        .to_owned()
}

#[test]
fn the_curl_line_works_once_it_is_filled_in_and_a_signal_ends_the_server_well() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::holding(WORLD);
        let secret = secret(&place, 1);
        let serving = Serving::in_place(&place);
        let path = serving
            .curl
            .split('\'')
            .nth(1)
            .and_then(|url| url.split_once("/rest/"));
        let path = path
            .unwrap_or_else(|| panic!("no address in {:?}", serving.curl))
            .1;
        let path = format!("/rest/{path}")
            .replace("USER", "1")
            .replace("SECRET", &secret);
        let parameters: serde_json::Map<_, _> = serving
            .curl
            .split(" -d ")
            .skip(1)
            .filter_map(|pair| pair.trim().split_once('='))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        assert_eq!(parameters.len(), 3, "{}", serving.curl);

        let mut connection = Connection::open(&serving.address).unwrap();
        let body = json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
        let (status, answer) = connection.post(&path, &body).unwrap();
        assert_eq!((status, &answer["result"]), (200, &json!(8773)), "{answer}");
        assert_eq!(place.log().last().unwrap()["user"], 7);

        serving.signal(signal);
        let mut serving = serving;
        assert_eq!(serving.child.wait().unwrap().code(), Some(0));
        let log = fs::read_to_string(place.path(LOG)).unwrap();
        assert!(
            log.contains("code=\"OK\"") && log.contains("stopped"),
            "{log}"
        );
        assert!(!log.contains(&secret), "{log}");
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let place = Place::empty();
    place
        .run("serve --listen 127.0.0.1:0")
        .ended(3)
        .said("hint: `crm-chat import FILE` creates a store");
    let place = Place::holding(WORLD);
    place
        .run("serve --listen 127.0.0.1:0")
        .ended(3)
        .said("`crm-chat webhook add` creates the file");
    secret(&place, 1);
    place
        .run("serve --listen nowhere")
        .ended(2)
        .said("cannot listen at `nowhere`");
    place
        .run("serve --tls-cert a.pem")
        .ended(2)
        .said("--tls-key");
    place
        .run("serve --tls-cert a.pem --tls-key b.pem")
        .ended(2)
        .said("cannot read certificates from `a.pem`");
}

const DELETE: &str = "imopenlines.crm.chat.user.delete";
const ACTORS: [i64; 2] = [1, 2];
const CONNECTIONS: usize = 32;
const CALLS: usize = 12;

/// Chats without owners: whose chat it was is nothing that an answer tells.
fn small_world() -> Snapshot {
    let users: Vec<_> = (1..=2)
        .chain(20..30)
        .map(|id| json!({"id": id, "active": true}))
        .collect();
    let deal = json!({"type": "deal", "id": 1});
    let lead = json!({"type": "lead", "id": 2});
    serde_json::from_value(json!({
        "users": users,
        "chats": [{"id": 10, "members": (20..30).collect::<Vec<_>>()}, {"id": 11, "members": (20..25).collect::<Vec<_>>()}],
        "links": [{"entity": deal, "chat": 10}, {"entity": deal, "chat": 11}, {"entity": lead, "chat": 10}],
        "access": [{"user": 1, "entity": deal}, {"user": 1, "entity": lead}, {"user": 2, "entity": deal}],
        "removers": [{"user": 1, "chat": 10}, {"user": 1, "chat": 11}, {"user": 2, "chat": 11}],
    })).unwrap()
}

/// Numbers that look drawn, and are the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % end.unsigned_abs()).unwrap()
    }

    fn removal(&mut self) -> (UserId, Removal) {
        let actor = ACTORS[usize::try_from(self.below(2)).unwrap()];
        let entity =
            ["deal:1", "deal:1", "lead:2", "contact:3"][usize::try_from(self.below(4)).unwrap()];
        let user = UserId::new(20 + self.below(10)).unwrap();
        let removal = Removal::new(entity.parse().unwrap(), user);
        let chat = [None, Some(10), Some(11)][usize::try_from(self.below(3)).unwrap()];
        let removal = chat.map_or(removal, |chat| removal.in_chat(ChatId::new(chat).unwrap()));
        (UserId::new(actor).unwrap(), removal)
    }

    fn edit(&mut self) -> Edit {
        let chat = ChatId::new(10 + self.below(2)).unwrap();
        let user = UserId::new(20 + self.below(10)).unwrap();
        let entity: Entity = "deal:1".parse().unwrap();
        let remover = Remover {
            user: UserId::new(2).unwrap(),
            chat,
        };
        match self.below(10) {
            0 => Edit::Leave { chat, user },
            1 => Edit::DeactivateUser { user },
            2 => Edit::ActivateUser { user },
            3 => Edit::Link(Link { entity, chat }),
            4 => Edit::GrantRemoval(remover),
            5 => Edit::RevokeRemoval(remover),
            _ => Edit::Join { chat, user },
        }
    }
}

/// Says what an answer on the wire means: a refusal tells its ids by its description alone.
fn understand(
    actor: UserId,
    removal: &Removal,
    status: u16,
    body: &Value,
) -> Result<Response, StoreErrorKind> {
    let &Removal { entity, user, .. } = removal;
    let answer: Answer = match status {
        200 => Ok(match ChatId::new(body["result"].as_i64().unwrap()) {
            None => Outcome::NoChat,
            Some(chat) => Outcome::Removed(Change {
                chat,
                user,
                actor,
                entity,
                owner: OwnerChange::Unchanged,
            }),
        }),
        503 => return Err(StoreErrorKind::Unavailable),
        500 => return Err(StoreErrorKind::OutcomeUnknown),
        _ => Err(refusal(actor, removal, body)),
    };
    Ok(Response::Answer(answer))
}

fn refusal(actor: UserId, removal: &Removal, body: &Value) -> Refusal {
    let &Removal { entity, user, .. } = removal;
    let of_a_chat = [10, 11]
        .map(|id| ChatId::new(id).unwrap())
        .into_iter()
        .flat_map(|chat| {
            [
                Refusal::ChatNotInCrm { chat, entity },
                Refusal::RemovalDenied {
                    actor,
                    chat,
                    entity,
                },
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
    refusals
        .find(said)
        .unwrap_or_else(|| panic!("what is {body}?"))
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

#[test]
fn two_servers_on_one_file_of_which_one_is_killed_have_a_serial_history() {
    let world = small_world();
    let place = Place::holding(&serde_json::to_string(&world).unwrap());
    let secrets = ACTORS.map(|actor| (actor, secret(&place, actor)));
    let path = |actor: UserId| {
        let (_, secret) = secrets.iter().find(|(id, _)| *id == actor.get()).unwrap();
        format!("/rest/{actor}/{secret}/")
    };
    let servers = [Serving::in_place(&place), Serving::in_place(&place)];
    let recorder = Recorder::new();
    let answered = AtomicUsize::new(0);

    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (recorder, servers, answered, path) = (&recorder, &servers, &answered, &path);
            scope.spawn(move || {
                let mut draw = Draw(number as u64);
                let mut server = number % 2;
                let mut connection = Connection::open(&servers[server].address).unwrap();
                for call in 0..CALLS {
                    let (actor, removal) = draw.removal();
                    let invocation = recorder.invoke(Operation::Remove(RemovalCall::new(actor, &removal)));
                    if let Ok((status, body)) =
                        ask(&mut connection, &path(actor), &removal, call % 3 == 2)
                    {
                        match understand(actor, &removal, status, &body) {
                            Ok(response) => invocation.respond(response),
                            Err(kind) => invocation.fail(kind),
                        }
                    } else {
                        // The server was killed: whether the removal was made is not known.
                        assert_eq!(server, 0, "the other server answers");
                        server = 1;
                        connection = Connection::open(&servers[server].address).unwrap();
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                let _ = connection.0.get_ref().shutdown(Shutdown::Both);
            });
        }
        scope.spawn(|| {
            let store = block_on(Sqlite::open(place.path("crm-chat.db"))).unwrap();
            let mut draw = Draw(99);
            let began = Instant::now();
            while answered.load(Ordering::SeqCst) < CONNECTIONS * CALLS
                && began.elapsed() < PATIENCE
            {
                let edit = draw.edit();
                let invocation = recorder.invoke(Operation::Edit(edit));
                match block_on(store.edit(&edit)) {
                    Ok(()) => invocation.respond(Response::Edited(Ok(()))),
                    Err(EditError::Rejected(rejection)) => {
                        invocation.respond(Response::Edited(Err(rejection)));
                    }
                    Err(EditError::Store(error)) => invocation.fail(error.kind()),
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let began = Instant::now();
        while answered.load(Ordering::SeqCst) < CONNECTIONS * CALLS / 3
            && began.elapsed() < PATIENCE
        {
            thread::sleep(Duration::from_millis(1));
        }
        servers[0].signal("-KILL");
    });

    let last: Snapshot = serde_json::from_str(&place.export()).unwrap();
    assert!(
        last.removals.len() > 10,
        "the mix removes some: {}",
        last.removals.len()
    );
    if let Err(error) = check(&world, &recorder.history(), &last) {
        panic!("{error}");
    }
}

/// The most memory that a server has had, in bytes.
#[cfg(target_os = "linux")]
fn peak(serving: &Serving) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() << 10
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_bounded_whatever_is_sent() {
    const BODY: usize = (1 << 20) - 16;
    const SENDERS: usize = 16;
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let serving = Serving::in_place(&place);
    let path = format!("/rest/1/{secret}/batch");
    let filled = |open: &str, item: &str, close: &str| {
        format!("{open}{}{close}", item.repeat(BODY / item.len() - 16))
    };
    let bodies = [
        filled("[", "1,", "1]"),
        filled("", "[", ""),
        filled("{\"cmd\":\"", "x", "\"}"),
        filled("{", "\"a\":{},", "\"a\":1}"),
        filled("{\"cmd\":[", "\"profile\",", "\"\"]}"),
        "1".repeat(2 * BODY),
    ];
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                for body in bodies.iter().chain(&bodies) {
                    // One for each: what is too long ends the connection.
                    let mut connection = Connection::open(&serving.address).unwrap();
                    let (status, answer) = connection.send(&path, body).unwrap();
                    assert!(matches!(status, 400 | 413), "{status}: {answer}");
                    assert_eq!(answer["error"], "INVALID_REQUEST", "{answer}");
                }
            });
        }
    });
    // All that was sent is twelve times as much as what each sender may have there at a time.
    let bound = SENDERS * 6 * BODY;
    assert!(
        peak(&serving) < bound,
        "{} bytes, more than {bound}",
        peak(&serving)
    );
}
