//! Queries, and the conversion of rows.

use crm_chat_domain::{StoreError, Timestamp};
use crm_chat_sqlite_file::{ResultExt, corrupt};
use rusqlite::{Connection, params};

use crate::digest::DigestKey;
use crate::verifier::{NewCredential, StoredCredential};
use crate::{Credential, CredentialKind, Issued, Scopes};

/// Selects a [`CredentialRow`] by the lookup part of a digest.
pub(crate) const FIND: &str = "SELECT id, kind, user, scopes, created_at, expires_at, tag
    FROM credentials WHERE lookup = ?1";

const LIST: &str = "SELECT id, kind, user, scopes, created_at, expires_at, tag
    FROM credentials WHERE kind = ?1 ORDER BY id";

/// Reads the key of the digests.
pub(crate) fn key(connection: &Connection) -> Result<DigestKey, StoreError> {
    let key = connection.query_row("SELECT key FROM key", [], |row| row.get(0));
    match key {
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(corrupt("key", 1, "the row is missing")),
        key => key.map(DigestKey::new).context("read the key"),
    }
}

/// Inserts a new credential.
pub(crate) fn insert(connection: &Connection, new: NewCredential) -> Result<Issued, StoreError> {
    let scopes: Vec<_> = new.scopes.iter().collect();
    // JSON, because the name of a scope may contain any character.
    let scopes = serde_json::Value::from(scopes).to_string();
    let inserted = connection.execute(
        "INSERT INTO credentials (kind, user, scopes, created_at, expires_at, lookup, tag)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            new.kind.as_str(),
            new.user.get(),
            scopes,
            new.created_at.seconds(),
            new.expires_at.map(Timestamp::seconds),
            new.digest.lookup,
            new.digest.tag.as_bytes(),
        ],
    );
    inserted.context("add a credential")?;
    Ok(new.numbered(connection.last_insert_rowid().cast_unsigned()))
}

/// Reads all credentials of a kind, in the order of their numbers.
pub(crate) fn list(
    connection: &Connection,
    kind: CredentialKind,
) -> Result<Vec<Credential>, StoreError> {
    const OPERATION: &str = "list the credentials";
    let mut list = connection.prepare_cached(LIST).context(OPERATION)?;
    list.query_map([kind.as_str()], CredentialRow::read)
        .context(OPERATION)?
        .map(|row| Ok(row.context(OPERATION)?.record()?.credential))
        .collect()
}

/// A row of the table `credentials`.
pub(crate) struct CredentialRow {
    id: i64,
    kind: String,
    user: i64,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    tag: [u8; 32],
}

impl CredentialRow {
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            user: row.get(2)?,
            scopes: row.get(3)?,
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
            tag: row.get(6)?,
        })
    }

    /// Converts the row, which is *corrupt* if a column holds an invalid value.
    pub(crate) fn record(self) -> Result<StoredCredential, StoreError> {
        let credential = self.credential().map_err(|column| {
            let problem = format!("column `{column}` holds an invalid value");
            corrupt("credentials", self.id, problem)
        })?;
        Ok(StoredCredential { credential, tag: self.tag.into() })
    }

    /// Returns the credential, or the name of the column that holds an invalid value.
    fn credential(&self) -> Result<Credential, &'static str> {
        let kind = [CredentialKind::Webhook, CredentialKind::Token]
            .into_iter()
            .find(|kind| kind.as_str() == self.kind)
            .ok_or("kind")?;
        let time = |seconds| Timestamp::new(seconds, 0).ok();
        // Check this even though the table does: a token without a value would never expire.
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

/// Parses a JSON list of scopes.
fn scopes(json: &str) -> Option<Scopes> {
    let list: Vec<String> = serde_json::from_str(json).ok()?;
    Some(list.into_iter().collect())
}
