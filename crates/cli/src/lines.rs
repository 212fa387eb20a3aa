//! Reading line by line, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use crate::console::tame;

/// The longest line that is taken in, in bytes. A request takes less than 200.
const LONGEST: usize = 64 * 1024;

/// The lines of an input.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// One line that is not blank.
pub(crate) struct Line<'a> {
    /// Its number, from 1. Blank lines count.
    pub(crate) number: u64,
    /// How many bytes of the input end with it.
    pub(crate) end: u64,
    /// Its text, or what is wrong with it.
    pub(crate) text: Result<&'a str, String>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// Reads the next line that is not blank. Of a line that is too long, the rest is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let whole = self.read()?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if !whole || !self.buffer.trim_ascii().is_empty() {
                let text = if whole {
                    str::from_utf8(self.buffer.trim_ascii_end()).map_err(|error| not_utf8(&error))
                } else {
                    Err(format!("it is longer than {LONGEST} bytes"))
                };
                return Ok(Some(Line { number: self.number, end: self.bytes, text }));
            }
        }
    }

    /// Fills the buffer with the next line; tells whether it is whole.
    fn read(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let mut bounded = (&mut self.input).take(LONGEST as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.buffer)?;
        let whole = read <= LONGEST || self.buffer.ends_with(b"\n");
        let skipped = if whole { 0 } else { self.input.skip_until(b'\n')? };
        self.bytes += (read + skipped) as u64;
        Ok(whole)
    }
}

fn not_utf8(error: &std::str::Utf8Error) -> String {
    format!("it is not UTF-8 from byte {} on", error.valid_up_to() + 1)
}

/// Says what is wrong with a line's JSON. `serde_json` counts lines too, but sees only this one.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    match text.strip_suffix(&format!(" at line {line} column {column}")) {
        Some(problem) => format!("{} at column {column}", tame(problem)),
        None => tame(&text),
    }
}

/// Says how far a command got before it broke off: `done` is what became of the lines.
pub(crate) fn last_of(last: u64, done: &str) -> String {
    match last {
        0 => format!("no line was {done}"),
        last => format!("line {last} was the last {done}"),
    }
}
