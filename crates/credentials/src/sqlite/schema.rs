//! The schema of a file of credentials.

use crm_chat_sqlite_file::{FilePermissions, ResultExt, Schema};

use crate::digest::DigestKey;

/// The schema of a file of credentials. A program that can write the file can call on behalf of any
/// user.
pub(crate) static SCHEMA: Schema = Schema {
    // `crmk` in ASCII. A store of chats has a different id.
    application_id: 0x6372_6d6b,
    migrations: &[include_str!("../../migrations/001_credentials.sql")],
    initialize: |connection| {
        let key = DigestKey::random()?;
        connection
            .execute("INSERT INTO key VALUES (1, ?1)", [key.bytes()])
            .map(drop)
            .context("store the key")
    },
    contents: "credentials",
    foreign: "it is a SQLite database, but holds no credentials of this program",
    permissions: FilePermissions::OwnerOnly,
};
