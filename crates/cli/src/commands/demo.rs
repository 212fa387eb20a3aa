//! `demo`: shows the program at work, on a temporary store.

use std::path::Path;

use clap::{Args, Parser};
use crm_chat_domain::snapshot::LoadError;
use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::args::Cli;
use crate::commands::Run;
use crate::console::{Console, wrap};
use crate::error::CommandError;
use crate::sample;
use crate::store_url::StoreUrl;

const INTRODUCTION: &str = "\
crm-chat removes a user from the chat of a CRM entity. It checks twelve rules in
order, and the first one that fails decides.

In this demo, chat 8773 belongs to deal:288. Its members are, in joining order,
user 7, who owns it, bot 30, and users 12 and 15. Users 1 and 2 have access to
the deal. Only user 1 may remove users from the chat.

";

/// A step of the demo.
struct Step {
    narration: &'static str,
    commands: &'static [&'static str],
}

const STEPS: [Step; 3] = [
    Step {
        narration: "User 1 removes user 12 from the deal's last chat. The answer is the chat's id.",
        commands: &["remove --actor 1 --entity deal:288 --user 12"],
    },
    Step {
        narration: "User 2 tries the same and is refused. Two rules fail; the first one decides.",
        commands: &[
            "remove --actor 2 --entity deal:288 --user 12",
            "explain --actor 2 --entity deal:288 --user 12",
        ],
    },
    Step {
        narration: "The owner leaves, and the chat passes to the human who joined earliest. The \
                    log has a record of each removal, but none of the refusal.",
        commands: &["remove --actor 1 --entity deal:288 --user 7", "log"],
    },
];

const CONCLUSION: &str = "\
The temporary store has been deleted. `crm-chat --help` lists the commands.
";

/// The width of the commands' output, which is indented by two columns.
const WIDTH: usize = 78;

/// Show a removal, a refusal and an explanation in a temporary store
#[derive(Args)]
pub(crate) struct DemoArgs {}

impl Run for DemoArgs {
    fn run(&self, _store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let directory = tempfile::tempdir().map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, "create a temporary directory")
                .with_source(error)
        })?;
        let path = directory.path().join("crm-chat.db");
        load_sample(&path)?;
        let store = StoreUrl::sqlite(path).to_string();

        write!(console.out, "{INTRODUCTION}")?;
        for (number, step) in (1..).zip(STEPS) {
            let narration = wrap(step.narration, WIDTH - 1).join("\n   ");
            writeln!(console.out, "{number}. {narration}\n")?;
            for command in step.commands {
                show(&store, command, console)?;
            }
        }
        write!(console.out, "{CONCLUSION}")?;
        Ok(())
    }
}

fn load_sample(path: &Path) -> Result<(), CommandError> {
    let loaded = block_on(async { Sqlite::open(path).await?.load(sample::snapshot()).await });
    loaded.map_err(|error| match error {
        LoadError::Invalid(error) => CommandError::failed(error),
        LoadError::Store(error) => error.into(),
    })
}

/// Prints a command line, runs it, and prints its output.
fn show(store: &str, command: &str, console: &mut Console<'_>) -> Result<(), CommandError> {
    writeln!(console.out, "  $ crm-chat {command}")?;
    let arguments = ["crm-chat", "--store", store];
    let arguments = arguments.into_iter().chain(command.split(' '));
    let cli = Cli::try_parse_from(arguments).map_err(CommandError::failed)?;

    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut captured = Console { out: &mut out, err: &mut err };
    if let Err(error) = cli.run(&mut captured) {
        // A refusal is part of the demo. Any other error ends it.
        if error.exit_status() != CommandError::REFUSED {
            return Err(error);
        }
        error.print(&mut err);
    }
    for line in [out, err].concat().split(|byte| *byte == b'\n') {
        for line in wrap(&String::from_utf8_lossy(line), WIDTH) {
            let indented = format!("  {line}");
            writeln!(console.out, "{}", indented.trim_end())?;
        }
    }
    Ok(())
}
