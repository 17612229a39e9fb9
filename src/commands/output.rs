//! Printing results on standard output.
//!
//! A reader that closes the pipe early (`| head`) has seen what it wanted: that is no error.

use crate::exit_code::ExitCode;
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Prints what `write` writes, buffered.
pub fn text(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::Success),
    }
}

/// One JSON object as one line. `value` must serialise to an object; `kind` becomes its first field,
/// `type`.
pub fn json_line(out: &mut impl Write, kind: &str, value: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        value: &'a T,
    }
    serde_json::to_writer(
        &mut *out,
        &Line {
            r#type: kind,
            value,
        },
    )?;
    out.write_all(b"\n")
}
