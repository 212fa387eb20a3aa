//! The arguments.

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use crm_chat_domain::{IfAbsent, Input, ParseEntityError, Request, UserId};

use crate::source::Source;
use crate::store_url::StoreUrl;
use crate::{apply, backup, credentials, edit, explain, export, import, log, serve};

/// Removes users from the chats of CRM entities, explains why it would or would not, and keeps the store
#[derive(Parser)]
#[command(name = "crm-chat", version, max_term_width = 80, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// The store; only `import` creates one
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CRM_CHAT_STORE",
        hide_env_values = true,
        display_order = 100,
        default_value = "sqlite:crm-chat.db"
    )]
    pub(crate) store: StoreUrl,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Answers go to standard output, everything else to standard error.

Exit status:
  0  done
  1  refused: the reason is on standard error
  2  bad usage, or unreadable input
  3  the store failed";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows a removal, a refusal and an explanation in a temporary store
    Demo,
    /// Fills the store from a JSON document
    #[command(after_long_help = import::HELP)]
    Import(import::Import),
    /// Prints the store's content as a JSON document
    #[command(after_long_help = export::HELP)]
    Export,
    /// Applies single changes, one JSON object a line
    #[command(after_long_help = edit::HELP)]
    Edit {
        /// The changes; `-` is standard input
        #[arg(default_value = "-", value_parser = source())]
        file: Source,
    },
    /// Removes one user from a chat; prints the chat's id
    #[command(after_long_help = crate::remove::HELP)]
    Remove(Ask),
    /// Says why: every rule's verdict, and what `remove` would change
    #[command(after_long_help = explain::HELP)]
    Explain(Ask),
    /// Answers one JSON request a line, in order
    #[command(after_long_help = apply::HELP)]
    Apply {
        /// The requests; `-` is standard input
        #[arg(default_value = "-", value_parser = source())]
        file: Source,
    },
    /// Prints the removal log as JSON lines, or prunes it
    #[command(after_long_help = log::HELP)]
    Log(log::Log),
    /// Copies the store, the credentials or both, while they are in use
    #[command(after_long_help = backup::HELP)]
    Backup(backup::Backup),
    /// Serves the REST method over HTTP
    #[command(after_long_help = serve::HELP)]
    Serve(serve::Serve),
    /// Keeps the webhooks that callers of the server present
    #[command(after_long_help = credentials::HELP)]
    Webhook(credentials::Webhook),
    /// Keeps the OAuth tokens that callers of the server present
    #[command(after_long_help = credentials::HELP)]
    Token(credentials::Token),
}

/// One removal, as asked on the command line.
///
/// But for the actor, its values go through the same reading as those of the wire.
#[derive(Args)]
pub(crate) struct Ask {
    /// The user on whose behalf the removal runs
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) actor: UserId,
    /// The CRM entity: `lead`, `deal`, `company` or `contact`, and its id
    #[arg(long, value_name = "KIND:ID", allow_hyphen_values = true, value_parser = entity)]
    entity: EntityText,
    /// The user or bot to remove
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    user: String,
    /// The chat [default: the entity's last chat]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    chat: Option<String>,
    /// What it means if the user is not a member of the chat: a refusal, or a success that changes nothing
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = if_absent())]
    if_absent: IfAbsent,
    /// Prints the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Ask {
    /// Returns the request, as untrusted as one from the wire.
    pub(crate) fn request(&self) -> Request {
        Request {
            crm_entity_type: self.entity.kind.as_str().into(),
            crm_entity: self.entity.id.as_str().into(),
            user_id: self.user.as_str().into(),
            chat_id: Input::from(self.chat.clone()),
            if_absent: self.if_absent,
        }
    }
}

/// The two halves of `KIND:ID`, unread.
#[derive(Clone)]
struct EntityText {
    kind: String,
    id: String,
}

fn entity(text: &str) -> Result<EntityText, ParseEntityError> {
    let (kind, id) = text.split_once(':').ok_or(ParseEntityError::NoColon)?;
    Ok(EntityText { kind: kind.to_owned(), id: id.to_owned() })
}

fn if_absent() -> impl TypedValueParser<Value = IfAbsent> {
    PossibleValuesParser::new(["refuse", "accept"]).map(|value| match value.as_str() {
        "accept" => IfAbsent::Accept,
        _ => IfAbsent::Refuse,
    })
}

pub(crate) fn source() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().map(Source::from)
}
