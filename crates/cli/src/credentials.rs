//! `webhook` and `token`: issue, list and revoke what callers of the server present.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use crm_chat_domain::{Timestamp, UserId};
use crm_chat_rest::{
    CredentialId, CredentialKind, CredentialStore, Issued, Scopes, SqliteCredentials,
};
use futures_lite::future::block_on;
use serde::Serialize;

use crate::console::Console;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
`add` prints the secret, this once: the file keeps only a keyed hash of it. To
replace a secret, add another, change the callers, and revoke the old one.
`list` prints a line of JSON for each; `revoke` counts from the next call on,
also for servers that are running. `add` warns if the store does not know the
user, or not as active.";

/// The file of credentials.
#[derive(Args)]
pub(crate) struct CredentialsFile {
    /// The file of webhooks and tokens; only `add` creates one
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

#[derive(Args)]
pub(crate) struct Webhook {
    #[command(flatten)]
    file: CredentialsFile,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand)]
enum WebhookCommand {
    /// Issues a webhook for calls to /rest/USER/SECRET/METHOD; prints its secret
    Add(Rights),
    /// Prints the webhooks as JSON lines, without their secrets
    List,
    /// Revokes a webhook for good
    Revoke {
        /// Its number, or its name as `list` prints it
        #[arg(value_parser = |text: &str| id(CredentialKind::Webhook, text))]
        id: CredentialId,
    },
}

#[derive(Args)]
pub(crate) struct Token {
    #[command(flatten)]
    file: CredentialsFile,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Issues a token for calls to /rest/METHOD?auth=TOKEN; prints it
    Add {
        #[command(flatten)]
        rights: Rights,
        /// For how many seconds it works
        #[arg(
            long,
            value_name = "SECONDS",
            default_value_t = 3600,
            allow_hyphen_values = true,
            value_parser = clap::value_parser!(u64).range(1..=CENTURY)
        )]
        expires_in: u64,
    },
    /// Prints the tokens as JSON lines, expired ones among them, without their secrets
    List,
    /// Revokes a token for good
    Revoke {
        /// Its number, or its name as `list` prints it
        #[arg(value_parser = |text: &str| id(CredentialKind::Token, text))]
        id: CredentialId,
    },
}

/// Seconds in a hundred years: longer is a slip.
const CENTURY: u64 = 3_155_760_000;

/// As whom and what for a credential calls.
#[derive(Args)]
struct Rights {
    /// The user on whose behalf the calls run
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    user: UserId,
    /// The scopes that the calls may use, separated by commas; an empty text is none
    #[arg(
        long = "scope",
        value_name = "SCOPES",
        default_value = "imopenlines",
        value_parser = scopes
    )]
    scopes: Vec<ScopeList>,
}

/// The value of one `--scope`.
#[derive(Clone)]
struct ScopeList(Vec<String>);

impl Rights {
    fn scopes(&self) -> Scopes {
        self.scopes.iter().flat_map(|list| &list.0).collect()
    }

    /// Warns if calls on behalf of the user will be refused. Credentials may be issued before the
    /// user is added, or for a store that is elsewhere, so this is not an error.
    fn check_user(&self, store: &StoreUrl, console: &mut Console<'_>) {
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

fn scopes(text: &str) -> Result<ScopeList, String> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.');
    if text.is_empty() {
        return Ok(ScopeList(Vec::new()));
    }
    let scopes = text.split(',').map(|scope| {
        if scope.is_empty() || !scope.chars().all(is_plain) {
            return Err("a scope consists of letters, digits, `_` and `.`".to_owned());
        }
        Ok(scope.to_owned())
    });
    scopes.collect::<Result<_, _>>().map(ScopeList)
}

fn id(kind: CredentialKind, text: &str) -> Result<CredentialId, String> {
    let number = text.strip_prefix(&format!("{kind}:")).unwrap_or(text);
    match number.parse() {
        Ok(number) => Ok(kind.id(number)),
        Err(_) => Err(format!("a {kind} is named by its number, as `3` or `{kind}:3`")),
    }
}

impl Webhook {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        match &self.command {
            WebhookCommand::Add(rights) => {
                let file = self.file.open_or_create()?;
                let issued = block_on(file.add_webhook(rights.user, rights.scopes()))?;
                hand_over(&file, &issued, console)?;
                console.note(format_args!(
                    "{} works at /rest/{}/SECRET/; the secret is not shown again",
                    issued.credential.id, rights.user
                ));
                rights.check_user(store, console);
                Ok(())
            }
            WebhookCommand::List => list(&self.file, CredentialKind::Webhook, console),
            WebhookCommand::Revoke { id } => revoke(&self.file, CredentialKind::Webhook, id),
        }
    }
}

impl Token {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        match &self.command {
            TokenCommand::Add { rights, expires_in } => {
                let file = self.file.open_or_create()?;
                let lifetime = Duration::from_secs(*expires_in);
                let issued = block_on(file.add_token(rights.user, rights.scopes(), lifetime))?;
                hand_over(&file, &issued, console)?;
                console.note(format_args!(
                    "{} works for {expires_in} seconds; it is not shown again",
                    issued.credential.id
                ));
                rights.check_user(store, console);
                Ok(())
            }
            TokenCommand::List => list(&self.file, CredentialKind::Token, console),
            TokenCommand::Revoke { id } => revoke(&self.file, CredentialKind::Token, id),
        }
    }
}

/// Prints a secret. A credential whose secret nobody got is revoked.
fn hand_over(
    file: &SqliteCredentials,
    issued: &Issued,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let secret = issued.secret.expose();
    let printed = writeln!(console.out, "{secret}").and_then(|()| console.out.flush());
    if printed.is_err() {
        block_on(file.revoke(&issued.credential.id))?;
    }
    Ok(printed?)
}

/// A credential as `list` prints it.
#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    user: UserId,
    scopes: Vec<&'a str>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

fn list(
    file: &CredentialsFile,
    kind: CredentialKind,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    for credential in block_on(file.open()?.list(kind))? {
        console.json(&Listed {
            id: credential.id.to_string(),
            user: credential.user,
            scopes: credential.scopes.iter().collect(),
            created_at: credential.created_at,
            expires_at: credential.expires_at,
        })?;
    }
    Ok(())
}

fn revoke(file: &CredentialsFile, kind: CredentialKind, id: &CredentialId) -> Result<(), Failure> {
    if block_on(file.open()?.revoke(id))? {
        return Ok(());
    }
    let refused = Failure::refused(format_args!("there is no {id}"));
    Err(refused.with_hint(format!("`crm-chat {kind} list` names them all")))
}

impl fmt::Display for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())
    }
}

impl CredentialsFile {
    /// Opens the file, which must exist.
    pub(crate) fn open(&self) -> Result<SqliteCredentials, Failure> {
        block_on(SqliteCredentials::open(&self.path)).map_err(|error| {
            let failure = Failure::from(error);
            if self.path.exists() {
                failure
            } else {
                failure.with_hint(
                    "`crm-chat webhook add` creates the file; `--credentials` or `CRM_CHAT_CREDENTIALS` names another",
                )
            }
        })
    }

    /// Opens the file; creates it if there is none.
    fn open_or_create(&self) -> Result<SqliteCredentials, Failure> {
        Ok(block_on(SqliteCredentials::open_or_create(&self.path))?)
    }
}
