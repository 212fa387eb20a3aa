//! `apply`: answers requests line by line.

mod input_line;
mod progress;

use std::io::{self, Read};
use std::iter;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use clap::Args;
use crm_chat_domain::{Answer, StoreError, StoreErrorKind, remove_users};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use self::input_line::InputLine;
use self::progress::ProgressDisplay;
use crate::commands::Run;
use crate::console::Console;
use crate::error::CommandError;
use crate::lines::{LineReader, last_line_hint};
use crate::reply::Reply;
use crate::source::Source;
use crate::store_url::StoreUrl;

const HELP: &str = r#"A request is a JSON object; `CHAT_ID` and `if_absent` are optional:
  {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 12,
   "CHAT_ID": 8773, "if_absent": "accept"}
It must be on one line, of at most 64 KiB. Without `CHAT_ID`, the user is
removed from the entity's last chat. `if_absent` is the answer if the user is
not a member of the chat: `refuse` (the default), or `accept`, a success that
changes nothing.

Prints one line for each request, in order:
  {"result":8773}
  {"error":"CHAT_NOT_IN_CRM","error_description":"…"}
`result` is the id of the chat, or 0 if the entity has no chat. A line that is
not such an object is answered with the error INVALID_REQUEST and does not
affect the others. Blank lines are skipped.

Requests are committed in chunks, and an answer is printed only after its
commit. A chunk ends when no further line has arrived, so a program at the other
end of a pipe may wait for each answer before it sends the next request.

The exit status is 0 once every line is answered, whatever the answers."#;

/// Answer JSON requests, one on each line, in order
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ApplyArgs {
    /// File with the requests; `-` is standard input
    #[arg(default_value = "-")]
    file: Source,
}

/// The most requests that are committed at once. Other writers of the store wait that long.
const CHUNK: usize = 256;

/// The most lines that are read ahead.
const READ_AHEAD: usize = 2 * CHUNK;

impl Run for ApplyArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let input = self.file.open(console)?;
        let store = store.open()?;
        let (lines, reader) = read_ahead(input);
        let progress = ProgressDisplay::new(&self.file);
        let mut responder = Responder { store, progress, last_answered: 0 };
        while let Ok(first) = lines.recv() {
            // `try_iter` ends when no further line has arrived. Waiting for a full chunk would
            // leave a caller that waits for each answer waiting for ever.
            let arrived = iter::once(first).chain(lines.try_iter()).take(CHUNK);
            let mut chunk = Vec::with_capacity(CHUNK);
            let mut read_error = None;
            for line in arrived {
                match line {
                    Ok(line) => chunk.push(line),
                    Err(error) => read_error = Some(error),
                }
            }
            // Lines that were read before the input failed are answered first.
            responder.answer(&chunk, console)?;
            if let Some(error) = read_error {
                let hint = last_line_hint(responder.last_answered, "answered");
                return Err(self.file.read_error(&error).with_hint(hint));
            }
        }
        reader.join().expect("the reader does not panic");
        Ok(())
    }
}

/// Reads and parses lines in another thread, so that reading goes on during a commit. A read error
/// is the last item.
fn read_ahead(
    input: impl Read + Send + 'static,
) -> (Receiver<io::Result<InputLine>>, JoinHandle<()>) {
    let (sender, receiver) = sync_channel(READ_AHEAD);
    let reader = thread::spawn(move || {
        let mut lines = LineReader::new(input);
        let mut next = || Ok(lines.next()?.map(|line| InputLine::parse(&line)));
        while let Some(line) = next().transpose() {
            let failed = line.is_err();
            if sender.send(line).is_err() || failed {
                break;
            }
        }
    });
    (receiver, reader)
}

/// Answers lines in chunks, and keeps track of the last one answered.
struct Responder {
    store: Sqlite,
    progress: ProgressDisplay,
    /// The number of the last line answered, or 0.
    last_answered: u64,
}

impl Responder {
    /// Answers a chunk of lines.
    ///
    /// Lines before the first one that needs the store are answered even if the store fails.
    fn answer(
        &mut self,
        chunk: &[InputLine],
        console: &mut Console<'_>,
    ) -> Result<(), CommandError> {
        let decided = chunk.iter().take_while(|line| line.removal.is_err()).count();
        let (decided, undecided) = chunk.split_at(decided);
        self.print(decided, Vec::new(), console)?;
        if let Some(end) = undecided.last() {
            let removals: Vec<_> =
                undecided.iter().filter_map(|line| line.removal.as_ref().ok().copied()).collect();
            let answers = block_on(remove_users(&self.store, &removals))
                .map_err(|error| self.store_failed(error, end.number))?;
            self.print(undecided, answers, console)?;
        }
        Ok(())
    }

    /// Prints the answers to some lines, whose removals have been committed.
    fn print(
        &mut self,
        lines: &[InputLine],
        answers: Vec<Answer>,
        console: &mut Console<'_>,
    ) -> Result<(), CommandError> {
        let Some(end) = lines.last() else {
            return Ok(());
        };
        let printed = self.progress.suspend(|| print_answers(lines, answers, console));
        printed.map_err(|error| {
            let applied = format!("the lines up to line {} were applied", end.number);
            CommandError::from(error).incomplete().with_hint(applied)
        })?;
        self.progress.advance_to(end);
        self.last_answered = end.number;
        Ok(())
    }

    fn store_failed(&self, error: StoreError, end: u64) -> CommandError {
        let last = last_line_hint(self.last_answered, "answered");
        let hint = match error.kind() {
            StoreErrorKind::OutcomeUnknown => format!(
                "{last}; the lines after it up to line {end} may have been applied, later lines \
                 were not: repeat them with `if_absent` set to `accept`"
            ),
            _ => format!("{last}; later lines were not applied"),
        };
        CommandError::from(error).with_hint(hint)
    }
}

fn print_answers(
    lines: &[InputLine],
    answers: Vec<Answer>,
    console: &mut Console<'_>,
) -> io::Result<()> {
    let mut answers = answers.into_iter().map(Reply::from);
    for line in lines {
        match &line.removal {
            Err(reply) => console.print_json(reply)?,
            Ok(_) => console.print_json(&answers.next())?,
        }
    }
    console.out.flush()
}
