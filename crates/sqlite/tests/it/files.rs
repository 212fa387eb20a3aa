//! Unsuitable files: each is reported with the right error and not modified.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crm_chat_domain::{Edit, Snapshot, StoreError, StoreErrorKind, remove_user};
use crm_chat_sqlite::Sqlite;
use rusqlite::Connection;

use crate::support::{Child, TempStore, block_on, copy, removal, user, world};

/// Checks that a file is refused, and that its directory is not modified.
#[track_caller]
fn assert_refused(temp: &TempStore, kind: StoreErrorKind, because: &str) {
    let before = temp.contents();
    let error = block_on(Sqlite::open(temp.file())).unwrap_err();
    let actual = error.report();
    let expected = format!("cannot open the store `{}`: {kind}: {because}", temp.file().display());
    assert_eq!((error.kind(), &actual), (kind, &expected));
    assert!(temp.contents() == before, "the directory changed: {actual}");
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

const NOT_A_DATABASE: &str = "not a SQLite database, or its header is damaged";
const FOREIGN: &str = "it is a SQLite database of another program";

#[test]
fn file_that_is_not_a_database_is_refused() {
    let temp = TempStore::new();
    for content in ["x", "{\"users\": []}", &"SQLite".repeat(100)] {
        fs::write(temp.file(), content).unwrap();
        assert_refused(&temp, StoreErrorKind::Corrupt, NOT_A_DATABASE);
    }
}

#[test]
fn database_of_another_program_is_refused() {
    for journal in ["DELETE", "WAL"] {
        let temp = TempStore::new();
        let foreign = Connection::open(temp.file()).unwrap();
        foreign.pragma_update(None, "journal_mode", journal).unwrap();
        foreign.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        assert_refused(&temp, StoreErrorKind::Unsupported, FOREIGN);
    }
}

/// A newer program that was killed leaves a journal. SQLite must not copy it into the file.
#[test]
fn store_of_a_newer_version_is_refused() {
    let temp = TempStore::containing(&world(3));
    let newer = Connection::open(temp.file()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let because = "its schema has version 99, and this program knows up to 1: use a newer program";
    // At first, only the journal contains the new version.
    let error = block_on(Sqlite::open(temp.file())).unwrap_err();
    assert!(error.report().ends_with(because), "{}", error.report());

    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    newer.query_row(checkpoint, [], |_| Ok(())).unwrap();
    newer.execute_batch("DELETE FROM links").unwrap();
    let killed = TempStore::new();
    for name in ["store.db", "store.db-wal"] {
        copy(&temp.directory().join(name), &killed.directory().join(name));
    }
    assert!(killed.contents().iter().all(|(_, bytes)| !bytes.is_empty()));
    drop(newer);
    assert_refused(&temp, StoreErrorKind::Unsupported, because);
    assert_refused(&killed, StoreErrorKind::Unsupported, because);
}

/// A crash during a checkpoint leaves a header that counts pages which only the journal contains.
#[test]
fn partly_checkpointed_file_is_recovered() {
    let temp = TempStore::new();
    let store = temp.open();
    let connection = Connection::open(temp.file()).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
    block_on(store.load(world(400))).unwrap();
    let crashed = TempStore::new();
    for name in ["store.db", "store.db-wal"] {
        copy(&temp.directory().join(name), &crashed.directory().join(name));
    }
    let pages: u32 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    assert!(u64::from(pages) * 4096 > crashed.file().metadata().unwrap().len());
    write_at(&crashed.file(), 28, &pages.to_be_bytes());
    assert_eq!(block_on(crashed.open().dump()).unwrap(), world(400));
}

#[cfg(unix)]
#[test]
fn new_store_is_accessible_to_its_owner_only() {
    let temp = TempStore::containing(&world(3));
    let store = temp.open();
    block_on(store.edit(&Edit::SetMessenger { installed: false })).unwrap();
    let modes: Vec<_> = fs::read_dir(temp.directory())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600; 3], "the file and its journal");
    drop(store);
    // An operator may widen the permissions.
    fs::set_permissions(temp.file(), Permissions::from_mode(0o640)).unwrap();
    temp.open();
}

#[test]
fn lock_timeout_of_any_length_is_accepted() {
    let temp = TempStore::new();
    let options = Sqlite::options().lock_timeout(std::time::Duration::MAX);
    let store = block_on(options.open(temp.file())).unwrap();
    assert_eq!(block_on(store.dump()).unwrap(), Snapshot::default());
}

#[test]
fn empty_file_becomes_a_store_only_on_request() {
    let temp = TempStore::new();
    fs::write(temp.file(), "").unwrap();
    let error = block_on(Sqlite::options().create(false).open(temp.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.report().ends_with("the file is empty"), "{}", error.report());
    assert_eq!(temp.contents(), [(temp.file(), Vec::new())]);
    assert_eq!(block_on(temp.open().dump()).unwrap(), Snapshot::default());
}

#[test]
fn missing_file_is_created_only_on_request() {
    let temp = TempStore::new();
    let error = block_on(Sqlite::options().create(false).open(temp.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.report().ends_with("there is no such file"), "{}", error.report());
    assert_eq!(temp.contents(), []);
    drop(temp.open());
    block_on(Sqlite::options().create(false).open(temp.file())).unwrap();
}

#[test]
fn names_with_a_special_meaning_in_sqlite_are_ordinary_paths() {
    let temp = TempStore::new();
    for name in [":memory:", "file:x.db?mode=memory", "ö ä%41.db"] {
        let file = temp.directory().join(name);
        drop(block_on(Sqlite::open(&file)).unwrap());
        assert!(file.metadata().unwrap().len() > 0, "{name}");
    }
}

#[test]
fn damaged_header_is_refused() {
    let good = TempStore::containing(&world(3));
    let content = fs::read(good.file()).unwrap();
    // The magic number, the page size and the payload fractions.
    for (offset, bytes) in [(0, &b"sqlite"[..]), (16, &[0, 7]), (21, &[1, 2, 3])] {
        let temp = TempStore::new();
        fs::write(temp.file(), &content).unwrap();
        write_at(&temp.file(), offset, bytes);
        let before = fs::read(temp.file()).unwrap();
        let error = block_on(Sqlite::open(temp.file())).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(fs::read(temp.file()).unwrap() == before);
    }
}

#[test]
fn damaged_page_is_corrupt_and_not_modified() {
    let good = TempStore::containing(&world(400));
    let content = fs::read(good.file()).unwrap();
    let mut corrupt = 0;
    for page in 1..content.len() / 4096 {
        let temp = TempStore::new();
        fs::write(temp.file(), &content).unwrap();
        write_at(&temp.file(), (page * 4096) as u64, &[0xA5; 4096]);
        let before = fs::read(temp.file()).unwrap();
        for error in read_errors(&temp) {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "page {page}: {}", error.report());
            corrupt += 1;
        }
        assert!(fs::read(temp.file()).unwrap() == before, "page {page} was modified");
    }
    assert!(corrupt > 10, "only {corrupt} damaged pages were detected");
}

/// Runs a dump and a refused removal, which write nothing, and returns their errors.
fn read_errors(temp: &TempStore) -> Vec<StoreError> {
    let store = match block_on(Sqlite::open(temp.file())) {
        Ok(store) => store,
        Err(error) => return vec![error],
    };
    let refused = removal(9999);
    let removal = block_on(remove_user(&store, user(1), &refused)).unwrap_err();
    let removal = match removal {
        crm_chat_domain::RemoveError::Store(error) => Some(error),
        crm_chat_domain::RemoveError::Refused(_) => None,
    };
    block_on(store.dump()).err().into_iter().chain(removal).collect()
}

#[test]
fn invalid_row_is_corrupt_and_named() {
    let world = world(3);
    for (damage, expected) in [
        ("UPDATE members SET user = -5 WHERE user = 4", "table `members`, key (8773, -5)"),
        ("UPDATE users SET kind = 'cat' WHERE id = 3", "table `users`, key 3"),
        ("UPDATE links SET kind = 'dael'", "table `links`, key 1"),
        ("UPDATE access SET entity = 0", "table `access`, key (1, deal, 0)"),
        ("UPDATE removers SET user = -1", "table `removers`, key (-1, 8773)"),
        ("DELETE FROM settings", "table `settings`, key 1"),
        (
            "INSERT INTO removals VALUES (7, 1, 1, 1, 'deal', 1, NULL, 'noon')",
            "table `removals`, key 7",
        ),
    ] {
        let temp = TempStore::containing(&world);
        let connection = Connection::open(temp.file()).unwrap();
        connection
            .execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {damage}"))
            .unwrap();
        let error = block_on(temp.open().dump()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(error.report().contains(expected), "{}", error.report());
    }
}

const UNPRIVILEGED: &str = "CRM_CHAT_TEST_READ_ONLY";

/// Root can write read-only files, so the test runs itself as another user.
#[test]
fn read_only_file_is_unavailable_and_not_modified() {
    if let Some(directory) = std::env::var_os(UNPRIVILEGED) {
        return assert_read_only_is_unavailable(Path::new(&directory));
    }
    let temp = TempStore::containing(&world(3));
    fs::set_permissions(temp.directory(), Permissions::from_mode(0o755)).unwrap();
    let probe = temp.directory().join("probe");
    fs::write(&probe, "").unwrap();
    fs::set_permissions(&probe, Permissions::from_mode(0o444)).unwrap();
    if OpenOptions::new().write(true).open(&probe).is_err() {
        return assert_read_only_is_unavailable(temp.directory());
    }
    let binary = temp.directory().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let nobody = 65534;
    std::os::unix::fs::chown(temp.file(), Some(nobody), Some(nobody)).unwrap();
    std::os::unix::fs::chown(temp.directory(), Some(nobody), Some(nobody)).unwrap();
    let name = "files::read_only_file_is_unavailable_and_not_modified";
    let status = Child::of(&binary, name, UNPRIVILEGED, temp.directory())
        .command(|command| {
            command.uid(nobody).gid(nobody).current_dir(temp.directory());
        })
        .run();
    assert!(status.success());
}

fn assert_read_only_is_unavailable(directory: &Path) {
    let file = directory.join("store.db");
    let before = fs::read(&file).unwrap();
    let read_only = "it is read-only, and must be writable";
    let no_journal = "its directory is not writable, and the journal must be created in it";
    for (file_mode, directory_mode, because) in [
        (0o444, 0o755, read_only),
        (0o644, 0o555, no_journal),
        (0o444, 0o555, read_only),
        (0o000, 0o755, "Permission denied (os error 13)"),
    ] {
        // If the journal existed, the store could be written even in a read-only directory.
        assert!(!directory.join("store.db-wal").exists());
        fs::set_permissions(&file, Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(directory, Permissions::from_mode(directory_mode)).unwrap();
        let error = block_on(Sqlite::open(&file)).unwrap_err();
        assert!(error.report().ends_with(because), "{}", error.report());
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", error.report());
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(fs::read(&file).unwrap() == before);
    }
    block_on(block_on(Sqlite::open(&file)).unwrap().edit(&Edit::SetMessenger { installed: false }))
        .unwrap();
}
