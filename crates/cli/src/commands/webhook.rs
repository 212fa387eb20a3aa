//! `webhook`: manages the webhooks of the server's callers.

use clap::{Args, Subcommand};
use crm_chat_credentials::{CredentialId, CredentialKind, CredentialStore};
use futures_lite::future::block_on;

use crate::commands::Run;
use crate::console::Console;
use crate::credentials::{self, CredentialsFile, GrantArgs};
use crate::error::CommandError;
use crate::store_url::StoreUrl;

/// Add, list and revoke the webhooks of the server's callers
#[derive(Args)]
#[command(after_long_help = credentials::HELP)]
pub(crate) struct WebhookArgs {
    #[command(flatten)]
    file: CredentialsFile,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand)]
enum WebhookCommand {
    /// Issue a webhook for calls to /rest/USER/SECRET/METHOD, and print its secret
    Add {
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Print the webhooks as JSON lines, without their secrets
    List,
    /// Revoke a webhook permanently
    Revoke {
        /// Number of the webhook, or its id as printed by `list`
        #[arg(value_parser = |text: &str| credentials::parse_id(CredentialKind::Webhook, text))]
        id: CredentialId,
    },
}

impl Run for WebhookArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        match &self.command {
            WebhookCommand::Add { grant } => {
                let file = self.file.open_or_create()?;
                let issued = block_on(file.add_webhook(grant.user, grant.scopes()))?;
                credentials::print_secret(&file, &issued, console)?;
                console.note(format_args!(
                    "{} is valid for /rest/{}/SECRET/; the secret is not shown again",
                    issued.credential.id, grant.user
                ));
                grant.warn_if_inactive(store, console);
                Ok(())
            }
            WebhookCommand::List => self.file.list(CredentialKind::Webhook, console),
            WebhookCommand::Revoke { id } => self.file.revoke(CredentialKind::Webhook, id),
        }
    }
}
