//! Files that are no store, or that cannot be worked with: the right error, and the file as it was.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crm_chat_domain::{Edit, Snapshot, StoreError, StoreErrorKind, remove_user};
use crm_chat_sqlite::Sqlite;
use rusqlite::Connection;

use crate::support::{Child, Place, block_on, copy, removal, user, world};

/// Opens a store that must be refused, and checks that its folder is as it was.
#[track_caller]
fn check_refused(place: &Place, kind: StoreErrorKind, because: &str) {
    let before = place.content();
    let error = block_on(Sqlite::open(place.file())).unwrap_err();
    let told = error.report();
    let expected = format!("cannot open the store `{}`: {kind}: {because}", place.file().display());
    assert_eq!((error.kind(), &told), (kind, &expected));
    assert!(place.content() == before, "the folder changed: {told}");
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

const NO_DATABASE: &str = "not a SQLite database, or its header is damaged";
const FOREIGN: &str = "it is a SQLite database of another program";

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = Place::new();
    for content in ["x", "{\"users\": []}", &"SQLite".repeat(100)] {
        fs::write(place.file(), content).unwrap();
        check_refused(&place, StoreErrorKind::Corrupt, NO_DATABASE);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    for journal in ["DELETE", "WAL"] {
        let place = Place::new();
        let foreign = Connection::open(place.file()).unwrap();
        foreign.pragma_update(None, "journal_mode", journal).unwrap();
        foreign.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        check_refused(&place, StoreErrorKind::Unsupported, FOREIGN);
    }
}

/// Also if its program was killed: SQLite would write what it left in the journal into the file.
#[test]
fn a_store_of_a_newer_version_is_refused() {
    let place = Place::holding(&world(3));
    let newer = Connection::open(place.file()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let because = "its schema has version 99, and this program knows up to 1: use a newer program";
    // Known to the journal alone at first.
    let error = block_on(Sqlite::open(place.file())).unwrap_err();
    assert!(error.report().ends_with(because), "{}", error.report());

    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    newer.query_row(checkpoint, [], |_| Ok(())).unwrap();
    newer.execute_batch("DELETE FROM links").unwrap();
    let killed = Place::new();
    for name in ["store.db", "store.db-wal"] {
        copy(&place.folder().join(name), &killed.folder().join(name));
    }
    assert!(killed.content().iter().all(|(_, bytes)| !bytes.is_empty()));
    drop(newer);
    check_refused(&place, StoreErrorKind::Unsupported, because);
    check_refused(&killed, StoreErrorKind::Unsupported, because);
}

/// As a crash leaves it in the midst of a checkpoint: the header counts pages that are in the
/// journal alone.
#[test]
fn file_that_was_checkpointed_in_part_is_recovered() {
    let place = Place::new();
    let store = place.open();
    let connection = Connection::open(place.file()).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
    block_on(store.load(world(400))).unwrap();
    let crashed = Place::new();
    for name in ["store.db", "store.db-wal"] {
        copy(&place.folder().join(name), &crashed.folder().join(name));
    }
    let pages: u32 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    assert!(u64::from(pages) * 4096 > crashed.file().metadata().unwrap().len());
    write_at(&crashed.file(), 28, &pages.to_be_bytes());
    assert_eq!(block_on(crashed.open().dump()).unwrap(), world(400));
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_store_that_is_created() {
    let place = Place::holding(&world(3));
    let store = place.open();
    block_on(store.edit(&Edit::SetMessenger { installed: false })).unwrap();
    let modes: Vec<_> = fs::read_dir(place.folder())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600; 3], "the file and its journal");
    drop(store);
    // An operator may widen them.
    fs::set_permissions(place.file(), Permissions::from_mode(0o640)).unwrap();
    place.open();
}

#[test]
fn lock_timeout_of_any_length_is_accepted() {
    let place = Place::new();
    let options = Sqlite::options().lock_timeout(std::time::Duration::MAX);
    let store = block_on(options.open(place.file())).unwrap();
    assert_eq!(block_on(store.dump()).unwrap(), Snapshot::default());
}

#[test]
fn an_empty_file_becomes_a_store_only_if_asked() {
    let place = Place::new();
    fs::write(place.file(), "").unwrap();
    let error = block_on(Sqlite::options().create(false).open(place.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.report().ends_with("the file is empty"), "{}", error.report());
    assert_eq!(place.content(), [(place.file(), Vec::new())]);
    assert_eq!(block_on(place.open().dump()).unwrap(), Snapshot::default());
}

#[test]
fn a_missing_file_is_created_only_if_asked() {
    let place = Place::new();
    let error = block_on(Sqlite::options().create(false).open(place.file())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.report().ends_with("there is no such file"), "{}", error.report());
    assert_eq!(place.content(), []);
    drop(place.open());
    block_on(Sqlite::options().create(false).open(place.file())).unwrap();
}

#[test]
fn names_that_sqlite_takes_for_something_else_are_files() {
    let place = Place::new();
    for name in [":memory:", "file:x.db?mode=memory", "ö ä%41.db"] {
        let file = place.folder().join(name);
        drop(block_on(Sqlite::open(&file)).unwrap());
        assert!(file.metadata().unwrap().len() > 0, "{name}");
    }
}

#[test]
fn a_damaged_header_is_refused() {
    let good = Place::holding(&world(3));
    let content = fs::read(good.file()).unwrap();
    // The magic; the page size; the payload fractions.
    for (offset, bytes) in [(0, &b"sqlite"[..]), (16, &[0, 7]), (21, &[1, 2, 3])] {
        let place = Place::new();
        fs::write(place.file(), &content).unwrap();
        write_at(&place.file(), offset, bytes);
        let before = fs::read(place.file()).unwrap();
        let error = block_on(Sqlite::open(place.file())).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(fs::read(place.file()).unwrap() == before);
    }
}

#[test]
fn a_damaged_page_is_corrupt_and_left_as_it_is() {
    let good = Place::holding(&world(400));
    let content = fs::read(good.file()).unwrap();
    let mut corrupt = 0;
    for page in 1..content.len() / 4096 {
        let place = Place::new();
        fs::write(place.file(), &content).unwrap();
        write_at(&place.file(), (page * 4096) as u64, &[0xA5; 4096]);
        let before = fs::read(place.file()).unwrap();
        for error in errors_of_work(&place) {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "page {page}: {}", error.report());
            corrupt += 1;
        }
        assert!(fs::read(place.file()).unwrap() == before, "page {page} was written");
    }
    assert!(corrupt > 10, "hardly a page mattered: {corrupt}");
}

/// Tries a dump and a refused removal, which write nothing, and returns how they failed.
fn errors_of_work(place: &Place) -> Vec<StoreError> {
    let store = match block_on(Sqlite::open(place.file())) {
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
fn a_row_that_cannot_be_read_is_corrupt_and_named() {
    let world = world(3);
    for (damage, told) in [
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
        let place = Place::holding(&world);
        let connection = Connection::open(place.file()).unwrap();
        connection
            .execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {damage}"))
            .unwrap();
        let error = block_on(place.open().dump()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", error.report());
        assert!(error.report().contains(told), "{}", error.report());
    }
}

const AS_NOBODY: &str = "CRM_CHAT_TEST_READ_ONLY";

/// Root may write everything, so what is read-only is tried as somebody else.
#[test]
fn what_is_read_only_is_unavailable_and_left_as_it_is() {
    if let Some(folder) = std::env::var_os(AS_NOBODY) {
        return read_only_is_unavailable(Path::new(&folder));
    }
    let place = Place::holding(&world(3));
    fs::set_permissions(place.folder(), Permissions::from_mode(0o755)).unwrap();
    let probe = place.folder().join("probe");
    fs::write(&probe, "").unwrap();
    fs::set_permissions(&probe, Permissions::from_mode(0o444)).unwrap();
    if OpenOptions::new().write(true).open(&probe).is_err() {
        return read_only_is_unavailable(place.folder());
    }
    let binary = place.folder().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let nobody = 65534;
    std::os::unix::fs::chown(place.file(), Some(nobody), Some(nobody)).unwrap();
    std::os::unix::fs::chown(place.folder(), Some(nobody), Some(nobody)).unwrap();
    let name = "files::what_is_read_only_is_unavailable_and_left_as_it_is";
    let status = Child::of(&binary, name, AS_NOBODY, place.folder())
        .command(|command| {
            command.uid(nobody).gid(nobody).current_dir(place.folder());
        })
        .run();
    assert!(status.success());
}

fn read_only_is_unavailable(folder: &Path) {
    let file = folder.join("store.db");
    let before = fs::read(&file).unwrap();
    let read_only = "it is read-only, and must be writable";
    let no_journal = "its folder cannot be written, and the journal lies beside the file";
    for (file_mode, folder_mode, because) in [
        (0o444, 0o755, read_only),
        (0o644, 0o555, no_journal),
        (0o444, 0o555, read_only),
        (0o000, 0o755, "Permission denied (os error 13)"),
    ] {
        // A store whose journal is there already can be written in a folder that cannot.
        assert!(!folder.join("store.db-wal").exists());
        fs::set_permissions(&file, Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(folder_mode)).unwrap();
        let error = block_on(Sqlite::open(&file)).unwrap_err();
        assert!(error.report().ends_with(because), "{}", error.report());
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", error.report());
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(fs::read(&file).unwrap() == before);
    }
    block_on(block_on(Sqlite::open(&file)).unwrap().edit(&Edit::SetMessenger { installed: false }))
        .unwrap();
}
