//! How an export is laid out.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Lays a document out so that it reads and compares well: each key of the document, and each item of its lists, on a
/// line of its own.
#[derive(Default)]
pub(super) struct Layout {
    depth: usize,
    filled: bool,
}

/// Down to here, things stand on lines of their own: the document's keys and the items of its lists.
const OPEN_DEPTH: usize = 2;

impl Layout {
    fn begin(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(bracket)
    }

    fn next(&mut self, out: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        self.filled = true;
        if self.depth <= OPEN_DEPTH {
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
        if self.filled && self.depth < OPEN_DEPTH {
            out.write_all(b"\n")?;
            self.indent(out)?;
        }
        self.filled = true;
        out.write_all(bracket)
    }

    fn indent(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
