//! The schema of a file of credentials.

use crm_chat_sqlite_file::{FilePermissions, Schema, failed};

use super::super::digest::Key;

/// A file of credentials. A program that can write it can call as any user.
pub(super) static SCHEMA: Schema = Schema {
    // `crmk` in ASCII. A store of chats has another.
    application_id: 0x6372_6d6b,
    migrations: &[include_str!("../../../migrations/001_credentials.sql")],
    initialize: |connection| {
        let key = Key::random()?;
        connection
            .execute("INSERT INTO key VALUES (1, ?1)", [key.bytes()])
            .map(drop)
            .map_err(failed("store the key"))
    },
    contents: "credentials",
    foreign: "it is a SQLite database, but holds no credentials of this program",
    permissions: FilePermissions::OwnerOnly,
};
