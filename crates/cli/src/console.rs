//! Output of a command.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// The two streams of a command: answers go to `out`, everything else to `err`.
pub(crate) struct Console<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

impl Console<'_> {
    /// Prints a value as one line of JSON.
    pub(crate) fn print_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Prints a note for the user beside the answer.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        // A note is a courtesy: the command succeeds even if it cannot be printed.
        let _ = writeln!(self.err, "{text}");
    }
}

/// Makes untrusted text fit for a message: replaces control characters and cuts off long text.
pub(crate) fn sanitize(text: &str) -> String {
    const MAX_CHARS: usize = 500;
    // A newline would break the message, and an escape sequence could control the terminal.
    let replace_control = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    let mut sanitized: String = text.chars().take(MAX_CHARS).map(replace_control).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        sanitized.push('…');
    }
    sanitized
}

/// Wraps text into lines of at most `width` characters, at spaces and after commas. A word that is
/// longer than a line is kept whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive([' ', ',']) {
        let line = lines.last_mut().expect("there is always a line");
        let needed = line.chars().count() + piece.trim_end().chars().count();
        if needed > width && !line.is_empty() {
            line.truncate(line.trim_end().len());
            lines.push(piece.to_owned());
        } else {
            line.push_str(piece);
        }
    }
    lines
}

/// Formats a count with its noun: `1 user`, `2 users`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
