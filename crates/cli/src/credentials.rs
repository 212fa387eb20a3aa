//! Arguments and operations that `webhook`, `token`, `serve` and `backup` share.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use crm_chat_credentials::{
    CredentialId, CredentialKind, CredentialStore, Issued, Scopes, SqliteCredentials,
};
use crm_chat_domain::{Timestamp, UserId};
use futures_lite::future::block_on;
use serde::Serialize;

use crate::console::Console;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

/// The long help of `webhook` and `token`.
pub(crate) const HELP: &str = "\
`add` prints the secret only this once: the file keeps nothing but a keyed hash
of it. To replace a secret, add another, change the callers, then revoke the old
one. `list` prints one line of JSON for each. `revoke` takes effect at the next
call, also for servers that are running. `add` warns if the user is unknown to
the store, or not active.";

/// The argument that selects the file of credentials.
#[derive(Args)]
pub(crate) struct CredentialsFile {
    /// File of webhooks and tokens; only `add` creates one
    #[arg(
        long = "credentials",
        global = true,
        value_name = "PATH",
        env = "CRM_CHAT_CREDENTIALS",
        hide_env_values = true,
        display_order = 99,
        default_value = "crm-chat-credentials.db"
    )]
    path: PathBuf,
}

impl CredentialsFile {
    /// Opens the file, which must exist.
    pub(crate) fn open(&self) -> Result<SqliteCredentials, CommandError> {
        block_on(SqliteCredentials::open(&self.path)).map_err(|error| {
            let error = CommandError::from(error);
            if self.path.exists() {
                error
            } else {
                error.with_hint(
                    "`crm-chat webhook add` creates the file; `--credentials` or \
                     `CRM_CHAT_CREDENTIALS` selects another",
                )
            }
        })
    }

    /// Opens the file, or creates it.
    pub(crate) fn open_or_create(&self) -> Result<SqliteCredentials, CommandError> {
        Ok(block_on(SqliteCredentials::open_or_create(&self.path))?)
    }

    /// Prints the credentials of one kind as JSON lines.
    pub(crate) fn list(
        &self,
        kind: CredentialKind,
        console: &mut Console<'_>,
    ) -> Result<(), CommandError> {
        for credential in block_on(self.open()?.list(kind))? {
            console.print_json(&CredentialJson {
                id: credential.id.to_string(),
                user: credential.user,
                scopes: credential.scopes.iter().collect(),
                created_at: credential.created_at,
                expires_at: credential.expires_at,
            })?;
        }
        Ok(())
    }

    /// Revokes a credential.
    ///
    /// # Errors
    /// A refusal if the file has no such credential.
    pub(crate) fn revoke(
        &self,
        kind: CredentialKind,
        id: &CredentialId,
    ) -> Result<(), CommandError> {
        if block_on(self.open()?.revoke(id))? {
            return Ok(());
        }
        let refused = CommandError::refused(format_args!("there is no {id}"));
        Err(refused.with_hint(format!("`crm-chat {kind} list` lists all of them")))
    }
}

impl fmt::Display for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())
    }
}

/// Arguments that describe the rights of a new credential.
#[derive(Args)]
pub(crate) struct GrantArgs {
    /// User on whose behalf the calls run
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) user: UserId,
    /// Scopes that the calls may use, separated by commas; empty for none
    #[arg(
        long = "scope",
        value_name = "SCOPES",
        default_value = "imopenlines",
        value_parser = parse_scopes
    )]
    scopes: Vec<ScopeList>,
}

/// The value of one `--scope`.
#[derive(Clone)]
struct ScopeList(Vec<String>);

impl GrantArgs {
    /// Returns the scopes of every `--scope`.
    pub(crate) fn scopes(&self) -> Scopes {
        self.scopes.iter().flat_map(|list| &list.0).collect()
    }

    /// Warns if calls on behalf of the user will be refused. This is not an error, because a
    /// credential may be issued before the user is added, or for a store on another machine.
    pub(crate) fn warn_if_inactive(&self, store: &StoreUrl, console: &mut Console<'_>) {
        let user = self.user;
        match store.is_active(user) {
            Ok(true) => {}
            Ok(false) => console.note(format_args!(
                "warning: user {user} is not an active user of {store}: calls are answered \
                 `authorization_error`\n\
                 hint: pass {{\"add_user\": {{\"id\": {user}, \"active\": true}}}} to \
                 `crm-chat edit`, or {{\"activate_user\": {{\"user\": {user}}}}} if the user is \
                 known"
            )),
            Err(error) => console.note(format_args!(
                "note: user {user} was not looked up in {store}: {}",
                error.report()
            )),
        }
    }
}

fn parse_scopes(text: &str) -> Result<ScopeList, String> {
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.');
    if text.is_empty() {
        return Ok(ScopeList(Vec::new()));
    }
    let scopes = text.split(',').map(|scope| {
        if scope.is_empty() || !scope.chars().all(is_allowed) {
            return Err("a scope consists of letters, digits, `_` and `.`".to_owned());
        }
        Ok(scope.to_owned())
    });
    scopes.collect::<Result<_, _>>().map(ScopeList)
}

/// Parses the number of a credential, with or without its kind: `3` or `webhook:3`.
pub(crate) fn parse_id(kind: CredentialKind, text: &str) -> Result<CredentialId, String> {
    let number = text.strip_prefix(&format!("{kind}:")).unwrap_or(text);
    match number.parse() {
        Ok(number) => Ok(kind.id(number)),
        Err(_) => Err(format!("expected the number of a {kind}, such as `3` or `{kind}:3`")),
    }
}

/// Prints the secret of a new credential. If that fails, revokes the credential, because it could
/// never be used.
pub(crate) fn print_secret(
    file: &SqliteCredentials,
    issued: &Issued,
    console: &mut Console<'_>,
) -> Result<(), CommandError> {
    let secret = issued.secret.expose();
    let printed = writeln!(console.out, "{secret}").and_then(|()| console.out.flush());
    if printed.is_err() {
        block_on(file.revoke(&issued.credential.id))?;
    }
    Ok(printed?)
}

/// A credential as `list` prints it.
#[derive(Serialize)]
struct CredentialJson<'a> {
    id: String,
    user: UserId,
    scopes: Vec<&'a str>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}
