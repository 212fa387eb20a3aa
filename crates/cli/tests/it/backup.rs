//! `backup`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::place::{Place, WORLD};
use crate::serving::{Connection, Serving, secret};

const CREDENTIALS: &str = "crm-chat-credentials.db";

#[test]
fn store_and_credentials_are_copied_while_they_are_served() {
    let place = Place::holding(WORLD);
    let secret = secret(&place, 1);
    let serving = Serving::in_place(&place);
    let mut connection = Connection::open(&serving.address).unwrap();
    let path = format!("/rest/1/{secret}/imopenlines.crm.chat.user.delete");
    let body = serde_json::json!({"CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 7});
    assert_eq!(connection.post(&path, &body).unwrap().0, 200);

    place
        .run("backup store.bak --credentials-to credentials.bak")
        .succeeded()
        .answered("")
        .said("copied sqlite:crm-chat.db to `store.bak`\n")
        .said("copied `crm-chat-credentials.db` to `credentials.bak`\n");
    for file in ["store.bak", "credentials.bak"] {
        let mode = place.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let copied = place.run("export --store sqlite:store.bak").succeeded();
    assert_eq!(copied.out, place.export());
    let listed = place.run("webhook list --credentials credentials.bak");
    assert_eq!(listed.succeeded().out, place.run("webhook list").out);
    let original = place.log()[0]["epoch"].clone();
    let copy = place.run("log --store sqlite:store.bak").lines()[0]["epoch"].clone();
    assert_ne!(original, copy, "a restored store begins an epoch");
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn each_of_the_two_files_can_be_copied_alone() {
    let place = Place::holding(WORLD);
    place.run("backup a.bak").succeeded();
    place
        .run("backup --credentials-to b.bak")
        .ended(3)
        .said("`crm-chat webhook add` creates the file");
    assert!(!place.path("b.bak").exists());

    let place = Place::empty();
    secret(&place, 1);
    place.run("backup --credentials-to b.bak").succeeded();
    place.run("backup a.bak").ended(3).said("no such file");
    assert!(place.path("b.bak").exists() && !place.path("a.bak").exists());
    place.run("backup").ended(2).said("Usage: crm-chat backup");
}

#[test]
fn backup_never_replaces_a_file() {
    let place = Place::holding(WORLD);
    secret(&place, 1);
    place.write("notes.txt", "notes");
    symlink("nowhere", place.path("link")).unwrap();
    let before = place.files();
    for target in ["notes.txt", "crm-chat.db", CREDENTIALS, ".", "link"] {
        for line in [
            format!("backup {target}"),
            format!("backup --credentials-to {target}"),
            format!("backup new.bak --credentials-to {target}"),
        ] {
            let ran = place.run(&line).ended(2);
            ran.said(&format!("error: `{target}` exists already\nhint: "));
        }
    }
    assert_eq!(place.files(), before);
    assert_eq!(fs::read_to_string(place.path("notes.txt")).unwrap(), "notes");
}

#[test]
fn backup_that_cannot_be_written_is_reported() {
    let place = Place::holding(WORLD);
    place.run("backup none/a.bak").ended(3).said("none/a.bak");
}
