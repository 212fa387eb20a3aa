//! The conformance suite with a separate process for each handle.

use crm_chat_conformance::{Harness, conformance_tests};
use crm_chat_domain::snapshot::EditError;
use crm_chat_domain::{Edit, LogEntry, Snapshot};
use crm_chat_sqlite::Sqlite;
use tempfile::TempDir;

use crate::conformance::InAFile;
use crate::remote::Remote;

struct InProcesses;

impl Harness for InProcesses {
    type Fixture = TempDir;
    type Store = Remote;

    async fn set_up(&self, world: &Snapshot) -> TempDir {
        InAFile.set_up(world).await
    }

    async fn connect(&self, fixture: &TempDir) -> Remote {
        Remote::start(&fixture.path().join("store.db")).await
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

    async fn corrupt(&self, fixture: &TempDir) -> bool {
        let file = rusqlite::Connection::open(fixture.path().join("store.db")).unwrap();
        file.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE members").is_ok()
    }
}

conformance_tests!(InProcesses);
