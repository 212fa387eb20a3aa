//! `token`: manages the OAuth tokens of the server's callers.

use std::time::Duration;

use clap::{Args, Subcommand};
use crm_chat_credentials::{CredentialId, CredentialKind, CredentialStore};
use futures_lite::future::block_on;

use crate::commands::Run;
use crate::console::Console;
use crate::credentials::{self, CredentialsFile, GrantArgs};
use crate::error::CommandError;
use crate::store_url::StoreUrl;

/// Add, list and revoke the OAuth tokens of the server's callers
#[derive(Args)]
#[command(after_long_help = credentials::HELP)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    file: CredentialsFile,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Issue a token for calls to /rest/METHOD?auth=TOKEN, and print it
    Add {
        #[command(flatten)]
        grant: GrantArgs,
        /// Lifetime of the token
        #[arg(
            long,
            value_name = "SECONDS",
            default_value_t = 3600,
            allow_hyphen_values = true,
            value_parser = clap::value_parser!(u64).range(1..=MAX_LIFETIME)
        )]
        expires_in: u64,
    },
    /// Print the tokens as JSON lines, including expired ones, without their secrets
    List,
    /// Revoke a token permanently
    Revoke {
        /// Number of the token, or its id as printed by `list`
        #[arg(value_parser = |text: &str| credentials::parse_id(CredentialKind::Token, text))]
        id: CredentialId,
    },
}

/// A hundred years in seconds. A longer lifetime is taken for a mistake.
const MAX_LIFETIME: u64 = 3_155_760_000;

impl Run for TokenArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        match &self.command {
            TokenCommand::Add { grant, expires_in } => {
                let file = self.file.open_or_create()?;
                let lifetime = Duration::from_secs(*expires_in);
                let issued = block_on(file.add_token(grant.user, grant.scopes(), lifetime))?;
                credentials::print_secret(&file, &issued, console)?;
                console.note(format_args!(
                    "{} is valid for {expires_in} seconds; it is not shown again",
                    issued.credential.id
                ));
                grant.warn_if_inactive(store, console);
                Ok(())
            }
            TokenCommand::List => self.file.list(CredentialKind::Token, console),
            TokenCommand::Revoke { id } => self.file.revoke(CredentialKind::Token, id),
        }
    }
}
