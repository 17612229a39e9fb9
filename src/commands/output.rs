//! Prints results on standard output.
//!
//! A pipe that its reader closes early (`| head`) is not an error.

use crate::exit_code::ExitCode;
use crate::terminal;
use anyhow::Context as _;
use serde::Serialize;
use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Buffered standard output for people. Each `write!` or `writeln!` prints at most one line, whatever its arguments
/// contain: see [`terminal::line`].
pub struct Page(BufWriter<StdoutLock<'static>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn write_fmt(&mut self, formatted: fmt::Arguments<'_>) -> io::Result<()> {
        let text = formatted.to_string();
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (text.as_str(), ""),
        };
        self.0.write_all(terminal::line(line).as_bytes())?;
        self.0.write_all(end.as_bytes())
    }
}

/// Print the output of `write`, text for people or lines of JSON.
pub fn text(write: impl FnOnce(&mut Page) -> io::Result<()>) -> anyhow::Result<ExitCode> {
    let mut page = Page(BufWriter::new(io::stdout().lock()));
    let written = write(&mut page);
    ended(written.and_then(|()| page.flush()))
}

/// Print text without escaping: a completion script or the manual.
pub fn raw(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out);
    ended(written.and_then(|()| out.flush()))
}

fn ended(written: io::Result<()>) -> anyhow::Result<ExitCode> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(ExitCode::Success),
    }
}

/// Print one JSON object on one line. `value` must serialise to an object; `kind` becomes its first field, `type`. Control
/// characters are escaped as `\u....`.
pub fn json_line(out: &mut impl Write, kind: &str, value: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        value: &'a T,
    }
    let json = serde_json::to_string(&Line {
        r#type: kind,
        value,
    })?;
    out.write_all(terminal::line(&json).as_bytes())?;
    out.write_all(b"\n")
}
