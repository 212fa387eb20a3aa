//! The layout of an export.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Formats a document for reading and for `diff`: each key of the document, and each item of its
/// lists, is on a line of its own.
#[derive(Default)]
pub(super) struct ExportFormatter {
    /// The number of open brackets.
    depth: usize,
    /// `true` if something was written since the innermost bracket was opened.
    has_items: bool,
}

/// The depth down to which each item is on a line of its own: 1 is the document's keys, 2 the items
/// of its lists.
const MAX_LINE_DEPTH: usize = 2;

impl ExportFormatter {
    fn begin(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_items = false;
        out.write_all(bracket)
    }

    fn begin_item(&mut self, out: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        self.has_items = true;
        if self.depth <= MAX_LINE_DEPTH {
            out.write_all(if first { b"\n" } else { b",\n" })?;
            self.indent(out)
        } else if first {
            Ok(())
        } else {
            out.write_all(b", ")
        }
    }

    fn end(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_items && self.depth < MAX_LINE_DEPTH {
            out.write_all(b"\n")?;
            self.indent(out)?;
        }
        self.has_items = true;
        out.write_all(bracket)
    }

    fn indent(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for ExportFormatter {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
