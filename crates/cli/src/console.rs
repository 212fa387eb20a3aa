//! Where a command writes.

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
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Tells a person something beside the answer. Nobody minds if it is not read.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.err, "{text}");
    }
}

/// Makes a text from outside fit for a message: on one line, and not too long.
pub(crate) fn tame(text: &str) -> String {
    const LONGEST: usize = 500;
    let plain = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    let mut tame: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        tame.push('…');
    }
    tame
}

/// Breaks a text into lines of at most `width` characters: after a comma or at a space. A longer word stays whole.
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

/// Counts things: `1 user`, `2 users`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
