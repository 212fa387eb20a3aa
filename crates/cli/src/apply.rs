//! `apply`: answers requests line by line.

mod progress;
mod request;

use std::io::{self, Read};
use std::iter;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crm_chat_domain::{Answer, StoreError, StoreErrorKind, remove_users};
use crm_chat_sqlite::Sqlite;
use futures_lite::future::block_on;

use self::progress::Progress;
use self::request::Ask;
use crate::console::Console;
use crate::failure::Failure;
use crate::lines::{Lines, last_of};
use crate::reply::Reply;
use crate::source::Source;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = r#"A request is a JSON object; `CHAT_ID` and `if_absent` may be left out:
  {"actor": 1, "CRM_ENTITY_TYPE": "deal", "CRM_ENTITY": 288, "USER_ID": 12,
   "CHAT_ID": 8773, "if_absent": "accept"}
but on one line, of at most 64 KiB. Without `CHAT_ID`, the entity's last chat is
meant. `if_absent` says what it means if the user is not a member of the chat:
`refuse` (the default), or `accept`, a success that changes nothing.

For each request one line is printed, in order:
  {"result":8773}
  {"error":"CHAT_NOT_IN_CRM","error_description":"…"}
`result` is the chat's id, or 0 if the entity has no chat. A line that is no
such object gets the error INVALID_REQUEST, and the rest goes on. Blank lines
are skipped.

Requests are committed in chunks, and an answer is printed only after its
commit. A chunk ends when no further line is at hand, so a program at the other
end of a pipe may wait for each answer before it sends the next request.

The exit status is 0 once every line is answered, whatever the answers."#;

/// How many requests are committed at once, at most. Others who write to the store wait as long.
const CHUNK: usize = 256;

/// How many lines are read ahead, at most.
const AHEAD: usize = 2 * CHUNK;

pub(crate) fn run(
    store: &StoreUrl,
    file: &Source,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let input = file.open(console)?;
    let store = store.open()?;
    let (asks, reader) = read_ahead(input);
    let mut answering = Answering { store, progress: Progress::new(file), last: 0 };
    while let Ok(first) = asks.recv() {
        // Ends when no further line is at hand.
        let at_hand = iter::once(first).chain(asks.try_iter()).take(CHUNK);
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut unreadable = None;
        for ask in at_hand {
            match ask {
                Ok(ask) => chunk.push(ask),
                Err(error) => unreadable = Some(error),
            }
        }
        answering.answer(&chunk, console)?;
        if let Some(error) = unreadable {
            return Err(file.unreadable(&error).with_hint(last_of(answering.last, "answered")));
        }
    }
    reader.join().expect("the reader does not panic");
    Ok(())
}

/// Reads and parses in another thread, so that to wait for a line is not to wait for a commit. A failure comes last.
fn read_ahead(input: impl Read + Send + 'static) -> (Receiver<io::Result<Ask>>, JoinHandle<()>) {
    let (sender, receiver) = sync_channel(AHEAD);
    let reader = thread::spawn(move || {
        let mut lines = Lines::new(input);
        let mut next = || Ok(lines.next()?.map(|line| Ask::read(&line)));
        while let Some(ask) = next().transpose() {
            let failed = ask.is_err();
            if sender.send(ask).is_err() || failed {
                break;
            }
        }
    });
    (receiver, reader)
}

struct Answering {
    store: Sqlite,
    progress: Progress,
    /// The number of the last line answered.
    last: u64,
}

impl Answering {
    /// Answers a chunk. The lines up to the first that needs the storage are answered even if it fails.
    fn answer(&mut self, chunk: &[Ask], console: &mut Console<'_>) -> Result<(), Failure> {
        let decided = chunk.iter().take_while(|ask| ask.read.is_err()).count();
        let (decided, undecided) = chunk.split_at(decided);
        self.print(decided, Vec::new(), console)?;
        if let Some(end) = undecided.last() {
            let removals: Vec<_> =
                undecided.iter().filter_map(|ask| ask.read.as_ref().ok().copied()).collect();
            let answers = block_on(remove_users(&self.store, &removals))
                .map_err(|error| self.failed(error, end.number))?;
            self.print(undecided, answers, console)?;
        }
        Ok(())
    }

    fn print(
        &mut self,
        asks: &[Ask],
        answers: Vec<Answer>,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let Some(end) = asks.last() else {
            return Ok(());
        };
        let printed = self.progress.suspend(|| print(asks, answers, console));
        printed.map_err(|error| {
            let applied = format!("the lines up to line {} were applied", end.number);
            Failure::from(error).unfinished().with_hint(applied)
        })?;
        self.progress.reached(end);
        self.last = end.number;
        Ok(())
    }

    fn failed(&self, error: StoreError, end: u64) -> Failure {
        let last = last_of(self.last, "answered");
        let hint = match error.kind() {
            StoreErrorKind::OutcomeUnknown => format!(
                "{last}; those after it up to line {end} may have been applied, later ones were not: \
                 repeat them with `if_absent` set to `accept`"
            ),
            _ => format!("{last}; later lines were not applied"),
        };
        Failure::from(error).with_hint(hint)
    }
}

fn print(asks: &[Ask], answers: Vec<Answer>, console: &mut Console<'_>) -> io::Result<()> {
    let mut answers = answers.into_iter().map(Reply::from);
    for ask in asks {
        match &ask.read {
            Err(reply) => console.json(reply)?,
            Ok(_) => console.json(&answers.next())?,
        }
    }
    console.out.flush()
}
