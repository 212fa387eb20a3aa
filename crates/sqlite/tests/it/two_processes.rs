//! The whole suite, with a process of its own for each handle.

use crm_chat_conformance::{Harness, conformance_tests};
use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot};
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

use crate::conformance::InAFile;
use crate::remote::Remote;

struct InProcesses;

impl Harness for InProcesses {
    type Place = TempDir;
    type Store = Remote;

    async fn create(&self, world: &Snapshot) -> TempDir {
        InAFile.create(world).await
    }

    async fn connect(&self, place: &TempDir) -> Remote {
        Remote::start(&place.path().join("store.db")).await
    }

    async fn edit(&self, store: &Remote, edit: &Edit) -> Result<(), EditError> {
        Sqlite::open(&store.file).await?.edit(edit).await
    }

    async fn dump(&self, store: &Remote) -> Snapshot {
        Sqlite::open(&store.file).await.unwrap().dump().await.unwrap()
    }

    async fn log(&self, store: &Remote, after: u64) -> Vec<LogEntry> {
        let store = Sqlite::open(&store.file).await.unwrap();
        store.log(after, usize::MAX).await.unwrap()
    }

    async fn damage(&self, place: &TempDir) -> bool {
        let file = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
        file.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE members").is_ok()
    }
}

conformance_tests!(InProcesses);
