//! The process that serves a store.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crm_chat_domain::{ChatRepo, CrmRepo, Permissions, Store, UnitOfWork, UserRepo};
use crm_chat_sqlite::{Sqlite, SqliteTransaction};
use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use smol::net::unix::{UnixListener, UnixStream};
use smol::stream::StreamExt;

use super::words::{read_change, write_response};
use crate::support;

const SOCKET: &str = "CRM_CHAT_TEST_SOCKET";
const FILE: &str = "store.db";

/// Starts the process, and returns it with the socket on which it listens, in the directory of the
/// file.
pub(super) async fn start(file: &Path) -> (Child, PathBuf) {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let socket = file.with_file_name(format!("socket-{number}"));
    let mut process =
        support::Child::running("remote::process::process_that_serves_a_store", SOCKET, &socket)
            .command(|command| {
                command.stdout(Stdio::null());
            })
            .start();
    while UnixStream::connect(&socket).await.is_err() {
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none(), "the process ended before it listened: {ended:?}");
        smol::Timer::after(Duration::from_millis(1)).await;
    }
    (process, socket)
}

/// Not a test by itself: runs in the processes of the conformance suite for two processes.
#[test]
fn process_that_serves_a_store() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        return;
    };
    smol::block_on(async {
        let store = Sqlite::open(socket.with_file_name(FILE)).await.unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let mut connections = listener.incoming();
        while let Some(connection) = connections.next().await {
            smol::spawn(serve(store.clone(), connection.unwrap())).detach();
        }
    });
}

/// Serves the transaction of one connection. It is rolled back if the connection is closed early.
async fn serve(store: Sqlite, connection: UnixStream) {
    let mut connection = BufReader::new(connection);
    let mut tx = None;
    let mut line = String::new();
    while matches!(connection.read_line(&mut line).await, Ok(1..)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let response = match (&words[..], tx.take()) {
            (["begin"], _) => write_response(store.begin().await.map(|begun| tx = Some(begun))),
            (["commit"], Some(open)) => write_response(open.commit().await),
            (["rollback"], Some(open)) => write_response(open.rollback().await),
            (request, Some(mut open)) => {
                let response = respond(&mut open, request).await;
                tx = Some(open);
                response
            }
            (_, None) => panic!("no transaction is open"),
        };
        if connection.get_mut().write_all((response + "\n").as_bytes()).await.is_err() {
            break;
        }
        line.clear();
    }
}

async fn respond(tx: &mut SqliteTransaction, request: &[&str]) -> String {
    fn read<T: std::str::FromStr>(word: &str) -> T {
        word.parse().unwrap_or_else(|_| panic!("invalid value: {word}"))
    }
    match *request {
        ["messenger"] => write_response(tx.messenger_installed().await),
        ["role", chat, user] => write_response(tx.role(read(chat), read(user)).await),
        ["successor", chat, user] => write_response(tx.successor(read(chat), read(user)).await),
        ["remove", chat, user, actor, entity, owner] => {
            let change = read_change([chat, user, actor, entity, owner]);
            write_response(tx.remove_member(&change).await)
        }
        ["last", entity] => write_response(tx.last_chat(read(entity)).await),
        ["linked", chat, entity] => write_response(tx.is_linked(read(chat), read(entity)).await),
        ["active", user] => write_response(tx.is_active(read(user)).await),
        ["access", user, entity] => write_response(tx.has_access(read(user), read(entity)).await),
        ["may", user, chat, entity] => {
            write_response(tx.may_remove(read(user), read(chat), read(entity)).await)
        }
        _ => panic!("unknown request: {request:?}"),
    }
}
