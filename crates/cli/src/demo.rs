//! `demo`: the program at work, in a store that is gone afterwards.

use std::path::Path;

use clap::Parser;
use crm_chat_domain::snapshot::LoadError;
use crm_chat_domain::{StoreError, StoreErrorKind};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use crate::args::Cli;
use crate::console::{Console, wrap};
use crate::failure::Failure;
use crate::sample;
use crate::store_url::StoreUrl;

const BEGINNING: &str = "\
crm-chat removes a user from the chat of a CRM entity. Twelve rules are asked in
order, and the first that fails decides.

The world of this demo: chat 8773 belongs to deal:288. Its members are, in the
order in which they joined, user 7, who owns it, bot 30, and users 12 and 15.
Users 1 and 2 have access to the deal. Only user 1 may remove users from the
chat.

";

const STEPS: [(&str, &[&str]); 3] = [
    (
        "User 1 removes user 12 from the deal's last chat. The answer is the chat's id.",
        &["remove --actor 1 --entity deal:288 --user 12"],
    ),
    (
        "User 2 tries the same and is refused. Two rules fail; the first decides.",
        &[
            "remove --actor 2 --entity deal:288 --user 12",
            "explain --actor 2 --entity deal:288 --user 12",
        ],
    ),
    (
        "The owner leaves. The chat passes to the human who joined earliest. Each \
         removal, and no refusal, left a record in the log.",
        &["remove --actor 1 --entity deal:288 --user 7", "log"],
    ),
];

const END: &str = "\
The store is gone again. `crm-chat --help` lists the commands.
";

/// The width of what the commands print, indented by two columns.
const WIDTH: usize = 78;

pub(crate) fn run(console: &mut Console<'_>) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "make a temporary folder").with_source(error)
    })?;
    let path = folder.path().join("crm-chat.db");
    load(&path)?;
    let store = StoreUrl::file(path).to_string();

    write!(console.out, "{BEGINNING}")?;
    for (number, (narration, commands)) in (1..).zip(STEPS) {
        let narration = wrap(narration, WIDTH - 1).join("\n   ");
        writeln!(console.out, "{number}. {narration}\n")?;
        for command in commands {
            show(&store, command, console)?;
        }
    }
    write!(console.out, "{END}")?;
    Ok(())
}

fn load(path: &Path) -> Result<(), Failure> {
    let world = sample::snapshot();
    block_on(async { Sqlite::open(path).await?.load(world).await }).map_err(|error| match error {
        LoadError::Invalid(error) => Failure::input(error),
        LoadError::Store(error) => error.into(),
    })
}

/// Shows a command line, runs it, and shows what it prints.
fn show(store: &str, command: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    writeln!(console.out, "  $ crm-chat {command}")?;
    let arguments = ["crm-chat", "--store", store];
    let arguments = arguments.into_iter().chain(command.split(' '));
    let cli = Cli::try_parse_from(arguments).map_err(Failure::input)?;

    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut captured = Console { out: &mut out, err: &mut err };
    if let Err(failure) = crate::run(&cli, &mut captured) {
        // Shown only if it is a refusal, which is what the demo is about.
        if failure.status != 1 {
            return Err(failure);
        }
        failure.print(&mut err);
    }
    for line in [out, err].concat().split(|byte| *byte == b'\n') {
        for line in wrap(&String::from_utf8_lossy(line), WIDTH) {
            let indented = format!("  {line}");
            writeln!(console.out, "{}", indented.trim_end())?;
        }
    }
    Ok(())
}
