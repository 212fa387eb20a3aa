//! The schema of a store.

use crm_chat_sqlite_file::{FilePermissions, Schema};

/// The schema of a store's file. A store holds no secrets, so its permissions may be widened.
pub(crate) static SCHEMA: Schema = Schema {
    // `crmc` in ASCII.
    application_id: 0x6372_6d63,
    migrations: &[include_str!("../migrations/001_initial.sql")],
    initialize: |_| Ok(()),
    contents: "store",
    foreign: "it is a SQLite database of another program",
    permissions: FilePermissions::Any,
};
