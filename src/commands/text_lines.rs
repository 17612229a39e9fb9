//! Texts that a command reads line by line from a file or from standard input.

use crate::exit_code::{Exit, ExitCode};
use crate::named_file;
use anyhow::Context as _;
use std::io::{self, BufRead, Read as _};
use std::path::Path;

/// Longest line, in bytes. A longer line means that the file holds something else.
const LONGEST_TEXT: u64 = 1 << 20;

/// Characters shown of a line that is not text.
const SHOWN_CHARS: usize = 200;

/// Why a line is not a text.
pub const NOT_A_TEXT: &str = "the line is not UTF-8, or longer than 1 MiB";

/// The lines of a file or of standard input, one at a time.
pub struct Lines {
    from: Box<dyn BufRead>,
    /// The flag and what it names.
    name: String,
}

impl Lines {
    /// Open the file that `flag` names; `-` is standard input.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] if it cannot be opened.
    pub fn open(flag: &str, file: &Path) -> anyhow::Result<Self> {
        if file == Path::new("-") {
            return Ok(Self {
                from: Box::new(io::stdin().lock()),
                name: format!("{flag} from standard input"),
            });
        }
        let name = format!("{flag} {}", file.display());
        let unusable = |error: io::Error| Exit::error(ExitCode::Usage, format!("{name}: {error}"));
        let opened = named_file::open_stream(file).map_err(unusable)?;
        Ok(Self {
            from: Box::new(io::BufReader::new(opened)),
            name,
        })
    }

    /// Return the next line without its end; `Err` inside for one that is not text, as far as it can be shown.
    pub fn next(&mut self) -> anyhow::Result<Option<Result<String, String>>> {
        let mut bytes = Vec::new();
        let mut read = |most: u64, bytes: &mut Vec<u8>| {
            let from = &mut self.from;
            from.by_ref()
                .take(most)
                .read_until(b'\n', bytes)
                .with_context(|| format!("reading {}", self.name))
        };
        if read(LONGEST_TEXT, &mut bytes)? == 0 {
            return Ok(None);
        }
        let is_whole = bytes.len() < LONGEST_TEXT as usize || bytes.ends_with(b"\n");
        let mut rest = Vec::new();
        let mut skipped = 0;
        while !is_whole && read(LONGEST_TEXT, &mut rest)? > 0 && !rest.ends_with(b"\n") {
            skipped += rest.len() as u64;
            anyhow::ensure!(
                skipped < named_file::MOST_LINE_BYTES,
                "{}: a line of more than {} MiB; this is not a file of texts",
                self.name,
                named_file::MOST_LINE_BYTES >> 20
            );
            rest.clear();
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(Some(match std::str::from_utf8(line) {
            Ok(text) if is_whole => Ok(text.to_owned()),
            _ => {
                let text = String::from_utf8_lossy(line);
                Err(text.chars().take(SHOWN_CHARS).collect())
            }
        }))
    }
}
