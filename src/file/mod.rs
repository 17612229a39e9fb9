//! Files of a corpus: their paths below a root, their identity, and what became of them.
//!
//! Values only: `scan` finds files, `worker` reads them, `store` records them.

mod path;
mod skip;
mod spelling;

pub use path::{NotRelative, RelPath, root_from_spelling, root_spelling};
pub use skip::SkipReason;

use crate::ids::{FileHash, FileSha256};
use serde::{Deserialize, Serialize};

/// An eligible file as the walk saw it. Resuming compares these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: RelPath,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, saturated to the range of `i64`.
    pub mtime_ns: i64,
}

/// What became of an eligible file, with the identity it had when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub entry: FileEntry,
    /// BLAKE3 of the file's bytes; `None` when they were not read.
    pub hash: Option<FileHash>,
    /// `None` when not all of the file was read.
    pub sha256: Option<FileSha256>,
    pub outcome: FileOutcome,
}

impl FileRecord {
    /// Return why the file could not be read; `None` when it was read, or quarantined. A new try may succeed. Size and
    /// time are then those of the walk and say nothing about the file at the time of reading.
    pub fn read_failure(&self) -> Option<SkipReason> {
        match self.outcome {
            FileOutcome::Skipped { reason, .. }
                if self.hash.is_none() && reason != SkipReason::Quarantined =>
            {
                Some(reason)
            }
            _ => None,
        }
    }
}

/// What kind of text a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextKind {
    /// Name of the encoding, as the WHATWG spells it.
    pub encoding: Box<str>,
    /// Lower-case name of the language or format; `None` when it is not known.
    pub language: Option<Box<str>>,
    /// Bytes that were read, if the file is larger than the limits; else `None`.
    pub head_bytes: Option<u64>,
    /// Places where bytes were no characters and U+FFFD stands instead.
    pub replaced: u32,
    /// Runs of encoded data that were left out.
    pub elided: u32,
}

impl Default for TextKind {
    /// UTF-8 in no known language.
    fn default() -> Self {
        Self {
            encoding: "UTF-8".into(),
            language: None,
            head_bytes: None,
            replaced: 0,
            elided: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileOutcome {
    Indexed {
        chunks: u32,
        /// Values in its text that look like credentials; the recipe decides whether they are kept or redacted.
        credentials: u32,
        text: TextKind,
    },
    Skipped {
        reason: SkipReason,
        /// For people; may be empty.
        detail: String,
    },
}
