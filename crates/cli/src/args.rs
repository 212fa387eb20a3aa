//! Command-line arguments that several commands share.
//!
//! Help texts are in the imperative, as clap's own are.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};
use crm_chat_domain::{IfAbsent, Input, ParseEntityError, Request, UserId};

use crate::commands::Command;
use crate::console::Console;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

/// Remove users from the chats of CRM entities, explain the rules, and manage the store
#[derive(Parser)]
#[command(name = "crm-chat", version, max_term_width = 80, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// Store to use; only `import` creates one
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CRM_CHAT_STORE",
        hide_env_values = true,
        display_order = 100,
        default_value = "sqlite:crm-chat.db"
    )]
    store: StoreUrl,

    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Answers go to standard output, everything else to standard error.

Exit status:
  0  success
  1  refused; standard error has the reason
  2  bad usage, unreadable input or unwritable output
  3  the store failed";

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`] with the message and the exit status.
    pub(crate) fn run(&self, console: &mut Console<'_>) -> Result<(), CommandError> {
        self.command.run(&self.store, console)
    }
}

/// Arguments that describe one removal.
///
/// All but the actor are untrusted values, and are parsed like those of a request on the wire. A
/// value that is not valid is therefore a refusal, not bad usage.
#[derive(Args)]
pub(crate) struct RemovalArgs {
    /// User on whose behalf the removal runs
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) actor: UserId,
    /// CRM entity: `lead`, `deal`, `company` or `contact`, and its id
    #[arg(long, value_name = "KIND:ID", allow_hyphen_values = true)]
    entity: EntityArg,
    /// User or bot to remove
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    user: String,
    /// Chat to remove the user from [default: the entity's last chat]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    chat: Option<String>,
    /// Answer if the user is not a member of the chat: a refusal, or a success that changes nothing
    #[arg(long, value_name = "ANSWER", default_value = "refuse", value_parser = if_absent_parser())]
    if_absent: IfAbsent,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl RemovalArgs {
    /// Returns the request, which is as untrusted as one from the wire.
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

/// The two halves of `KIND:ID`, neither of them parsed.
#[derive(Clone)]
struct EntityArg {
    kind: String,
    id: String,
}

impl FromStr for EntityArg {
    type Err = ParseEntityError;

    fn from_str(text: &str) -> Result<Self, ParseEntityError> {
        let (kind, id) = text.split_once(':').ok_or(ParseEntityError::NoColon)?;
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }
}

fn if_absent_parser() -> impl TypedValueParser<Value = IfAbsent> {
    PossibleValuesParser::new(["refuse", "accept"]).map(|value| match value.as_str() {
        "accept" => IfAbsent::Accept,
        _ => IfAbsent::Refuse,
    })
}
