//! Reads input line by line, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use crate::console::sanitize;

/// The longest line that is accepted, in bytes. A request takes less than 200.
const MAX_LINE: usize = 64 * 1024;

/// Reads the lines of an input.
pub(crate) struct LineReader<R> {
    input: BufReader<R>,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
}

/// A line that is not blank.
pub(crate) struct Line<'a> {
    /// The number of the line, from 1. Blank lines count.
    pub(crate) number: u64,
    /// The offset of the end of the line in the input, in bytes.
    pub(crate) end: u64,
    /// The text, or the reason why it cannot be used.
    pub(crate) text: Result<&'a str, String>,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), buffer: Vec::new(), number: 0, offset: 0 }
    }

    /// Reads the next line that is not blank. The rest of a line that is too long is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let is_whole = self.fill_buffer()?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if !is_whole || !self.buffer.trim_ascii().is_empty() {
                let text = if is_whole {
                    str::from_utf8(self.buffer.trim_ascii_end()).map_err(|error| not_utf8(&error))
                } else {
                    Err(format!("longer than {MAX_LINE} bytes"))
                };
                return Ok(Some(Line { number: self.number, end: self.offset, text }));
            }
        }
    }

    /// Fills the buffer with the next line. Returns `false` if the line is too long and was cut.
    fn fill_buffer(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        // One byte more than the longest line is for its newline.
        let mut bounded = (&mut self.input).take(MAX_LINE as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.buffer)?;
        let is_whole = read <= MAX_LINE || self.buffer.ends_with(b"\n");
        let skipped = if is_whole { 0 } else { self.input.skip_until(b'\n')? };
        self.offset += (read + skipped) as u64;
        Ok(is_whole)
    }
}

fn not_utf8(error: &std::str::Utf8Error) -> String {
    format!("not UTF-8 from byte {} on", error.valid_up_to() + 1)
}

/// Formats the error of parsing one line as JSON.
pub(crate) fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    // `serde_json` was given a single line, so its line number is always 1 and would mislead.
    match text.strip_suffix(&format!(" at line {line} column {column}")) {
        Some(problem) => format!("{} at column {column}", sanitize(problem)),
        None => sanitize(&text),
    }
}

/// Formats a hint about the last line that was processed before a command failed. `done` is the
/// participle of the command's verb, such as *answered*.
pub(crate) fn last_line_hint(last: u64, done: &str) -> String {
    match last {
        0 => format!("no line was {done}"),
        last => format!("line {last} was the last one {done}"),
    }
}
