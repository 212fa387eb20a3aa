//! The rows of the tables.

use crm_chat_domain::{StoreError, Timestamp};
use crm_chat_sqlite_file::{corrupt, failed};
use rusqlite::{Connection, params};

use super::super::digest::Key;
use super::super::judge::{Draft, Record};
use super::super::{Credential, CredentialKind, Issued, Scopes};

/// Selects what [`Row`] reads, by the part of a digest that finds it.
pub(super) const FIND: &str = "SELECT id, kind, user, scopes, created_at, expires_at, proof
    FROM credentials WHERE lookup = ?1";

const LIST: &str = "SELECT id, kind, user, scopes, created_at, expires_at, proof
    FROM credentials WHERE kind = ?1 ORDER BY id";

/// Reads what digests are made with.
pub(super) fn key(connection: &Connection) -> Result<Key, StoreError> {
    let key = connection.query_row("SELECT key FROM key", [], |row| row.get(0));
    match key {
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(corrupt("key", 1, "there is none")),
        key => key.map(Key::new).map_err(failed("read the key")),
    }
}

/// Keeps a new credential.
pub(super) fn insert(connection: &Connection, draft: Draft) -> Result<Issued, StoreError> {
    let scopes: Vec<_> = draft.scopes.iter().collect();
    let scopes = serde_json::Value::from(scopes).to_string();
    let inserted = connection.execute(
        "INSERT INTO credentials (kind, user, scopes, created_at, expires_at, lookup, proof)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            draft.kind.as_str(),
            draft.user.get(),
            scopes,
            draft.created_at.seconds(),
            draft.expires_at.map(Timestamp::seconds),
            draft.digest.lookup,
            draft.digest.proof.as_bytes(),
        ],
    );
    inserted.map_err(failed("add a credential"))?;
    Ok(draft.numbered(connection.last_insert_rowid().cast_unsigned()))
}

/// Reads all credentials of a kind.
pub(super) fn list(
    connection: &Connection,
    kind: CredentialKind,
) -> Result<Vec<Credential>, StoreError> {
    let failed = || failed("list the credentials");
    let mut list = connection.prepare_cached(LIST).map_err(failed())?;
    list.query_map([kind.as_str()], Row::read)
        .map_err(failed())?
        .map(|row| Ok(row.map_err(failed())?.record()?.credential))
        .collect()
}

/// A row of the credentials as it is stored.
pub(super) struct Row {
    id: i64,
    kind: String,
    user: i64,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    proof: [u8; 32],
}

impl Row {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            user: row.get(2)?,
            scopes: row.get(3)?,
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
            proof: row.get(6)?,
        })
    }

    /// Makes sense of the row.
    pub(super) fn record(self) -> Result<Record, StoreError> {
        let credential = self.credential().map_err(|column| {
            let problem = format!("column `{column}` holds what is not valid there");
            corrupt("credentials", self.id, problem)
        })?;
        Ok(Record { credential, proof: self.proof.into() })
    }

    /// Returns the credential, or the column that holds none.
    fn credential(&self) -> Result<Credential, &'static str> {
        let kind = [CredentialKind::Webhook, CredentialKind::Token]
            .into_iter()
            .find(|kind| kind.as_str() == self.kind)
            .ok_or("kind")?;
        let time = |seconds| Timestamp::new(seconds, 0).ok();
        // A token without an end would never expire.
        if self.expires_at.is_none() != (kind == CredentialKind::Webhook) {
            return Err("expires_at");
        }
        Ok(Credential {
            id: kind.id(self.id.try_into().map_err(|_| "id")?),
            user: self.user.try_into().map_err(|_| "user")?,
            scopes: scopes(&self.scopes).ok_or("scopes")?,
            created_at: time(self.created_at).ok_or("created_at")?,
            expires_at: match self.expires_at {
                Some(end) => Some(time(end).ok_or("expires_at")?),
                None => None,
            },
        })
    }
}

fn scopes(json: &str) -> Option<Scopes> {
    let list: Vec<String> = serde_json::from_str(json).ok()?;
    Some(list.into_iter().collect())
}
