//! The progress display of `apply`.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::input_line::InputLine;
use crate::source::Source;

/// A progress bar on standard error, which is shown only on a terminal.
pub(super) struct ProgressDisplay {
    bar: ProgressBar,
}

impl ProgressDisplay {
    /// Shows a bar if the size of the input is known, and a spinner otherwise.
    pub(super) fn new(file: &Source) -> Self {
        let (bar, template) = match file.size() {
            Some(size) => {
                (ProgressBar::new(size), "{bar:30} {percent:>3} %  line {msg}  {eta} left")
            }
            // A spinner would get in the way of lines that are typed.
            None if io::stdin().is_terminal() => (ProgressBar::hidden(), ""),
            None => (ProgressBar::no_length(), "{spinner} line {msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        Self { bar: bar.with_style(style).with_message("0") }
    }

    /// Hides the bar while a function prints.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Advances to the end of a line that was answered.
    pub(super) fn advance_to(&self, line: &InputLine) {
        self.bar.set_message(line.number.to_string());
        self.bar.set_position(line.end);
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
