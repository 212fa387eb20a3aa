//! The progress bar.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::request::Ask;
use crate::source::Source;

/// Shows on standard error how far it is, if that is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(file: &Source) -> Self {
        let (bar, template) = match file.size() {
            Some(size) => {
                (ProgressBar::new(size), "{bar:30} {percent:>3} %  line {msg}  {eta} left")
            }
            // Nobody needs to be told what they type themselves.
            None if io::stdin().is_terminal() => (ProgressBar::hidden(), ""),
            None => (ProgressBar::no_length(), "{spinner} line {msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        Self { bar: bar.with_style(style).with_message("0") }
    }

    /// Runs what prints, while the bar is out of its way.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Says that this line was answered.
    pub(super) fn reached(&self, ask: &Ask) {
        self.bar.set_message(ask.number.to_string());
        self.bar.set_position(ask.end);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
