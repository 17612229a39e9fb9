//! What the pool does with one file: read, decode, chunk, tag, tokenize.
//!
//! Runs on many files at once and touches nothing but its own. A file that cannot be indexed is a
//! record with a reason, not an error.

use crate::chunk::{self, Decoded};
use crate::credential::{self, Found, Style};
use crate::encode::{TextTokenizer, TokenizedText};
use crate::failpoint::failpoint;
use crate::file::{FileEntry, FileOutcome, FileRecord, SkipReason};
use crate::ids::ContentHash;
use crate::profile::Limits;
use crate::profile::recipe::{Recipe, SecretsInText};
use crate::protocol::SegmentTask;
use crate::scan;
use crate::tag::{self, TagInput, Tags};
use std::borrow::Cow;
use std::path::Path;

/// A file ready for the encoders.
pub(super) struct PreparedFile {
    pub record: FileRecord,
    pub chunks: Vec<PreparedChunk>,
}

pub(super) struct PreparedChunk {
    pub sequence: u32,
    pub text: String,
    pub hash: ContentHash,
    pub is_fragment: bool,
    pub chromatin: u8,
    pub tags: Tags,
    pub tokens: TokenizedText,
    /// What looks like a credential in `text`.
    pub found: Vec<Found>,
}

/// What preparing a file needs besides the file.
pub(super) struct Preparer {
    pub recipe: Recipe,
    pub limits: Limits,
    pub texts: std::sync::Arc<TextTokenizer>,
}

impl Preparer {
    pub fn prepare(&self, task: &SegmentTask, entry: &FileEntry) -> PreparedFile {
        failpoint!("worker::prepare", entry.path.spelling());
        let (read, text, redacted) =
            match read_text(&task.root_path, entry, &self.limits, &self.recipe) {
                Ok(text) => text,
                Err(Unread {
                    read,
                    reason,
                    detail,
                }) => match read {
                    Some(read) => return PreparedFile::skipped(*read, reason, detail),
                    None => return left_out(entry, reason, detail),
                },
            };
        let chunks: Vec<_> = chunk::chunk(&text, &entry.path, &self.recipe)
            .into_iter()
            .map(|chunk| self.chunk(task, entry, chunk))
            .collect();
        if chunks.is_empty() {
            return skipped(read, SkipReason::Blank);
        }
        let found = chunks.iter().flat_map(|chunk| &chunk.found);
        let kept = found.filter(|one| one.is_certain).count() as u32;
        PreparedFile {
            record: FileRecord {
                entry: read.entry,
                hash: Some(read.hash),
                outcome: FileOutcome::Indexed {
                    chunks: chunks.len() as u32,
                    credentials: redacted + kept,
                },
            },
            chunks,
        }
    }

    fn chunk(
        &self,
        task: &SegmentTask,
        entry: &FileEntry,
        chunk: chunk::Chunk<'_>,
    ) -> PreparedChunk {
        let style = tag::style(&entry.path);
        let found = credential::find(&chunk.text, style);
        let input = TagInput {
            text: &chunk.text,
            path: &entry.path,
            root_label: &task.root_label,
            sequence: chunk.sequence,
        };
        let tags = tag::tag_without(&input, &found);
        let tokens = match style {
            Style::Any => self.texts.tokenize_found(&chunk.text, &found),
            Style::Settings => self.texts.tokenize(&chunk.text),
        };
        let n_chars = chunk.text.chars().count();
        PreparedChunk {
            sequence: chunk.sequence,
            hash: ContentHash::of(&chunk.text),
            is_fragment: chunk.is_fragment,
            chromatin: tag::density::chromatin(
                &entry.path,
                self.recipe.density_gate,
                &tags,
                n_chars,
            ),
            tags,
            tokens,
            found,
            text: chunk.text.into_owned(),
        }
    }
}

/// Why reading leaves out a file that the walk found eligible, as a build with the same profile would; `None` if
/// nothing does. Reads the file.
pub fn unread(
    root: &Path,
    entry: &FileEntry,
    limits: &Limits,
    recipe: &Recipe,
) -> Option<(SkipReason, String)> {
    let unread = read_text(root, entry, limits, recipe).err()?;
    Some((unread.reason, unread.detail))
}

/// A file that is not cut into chunks, with what was read of it.
struct Unread {
    read: Option<Box<scan::ReadFile>>,
    reason: SkipReason,
    detail: String,
}

/// The file, its text as it is indexed, and how many credentials were replaced in that.
fn read_text(
    root: &Path,
    entry: &FileEntry,
    limits: &Limits,
    recipe: &Recipe,
) -> Result<(scan::ReadFile, String, u32), Unread> {
    let read = scan::read_file(root, entry, limits).map_err(|failure| Unread {
        read: None,
        reason: failure.reason,
        detail: failure.detail,
    })?;
    let skipped = |read, reason, detail| Unread {
        read: Some(Box::new(read)),
        reason,
        detail,
    };
    let text = match chunk::decode(&read.bytes, recipe.chunker) {
        Decoded::Text(text) => text,
        Decoded::Binary => return Err(skipped(read, SkipReason::Binary, String::new())),
        Decoded::Blank => return Err(skipped(read, SkipReason::Blank, String::new())),
    };
    match recipe.secrets_in_text {
        SecretsInText::Keep => Ok((read, text, 0)),
        SecretsInText::Redact => {
            let (text, redacted) = redact(text, entry);
            Ok((read, text, redacted))
        }
        SecretsInText::Skip => match first_credential(&text, entry) {
            Some(detail) => Err(skipped(read, SkipReason::SecretInText, detail)),
            None => Ok((read, text, 0)),
        },
    }
}

/// The text with its credentials replaced, and how many there were.
fn redact(text: String, entry: &FileEntry) -> (String, u32) {
    match credential::redact(&text, tag::style(&entry.path)) {
        (Cow::Owned(redacted), count) => (redacted, count),
        (Cow::Borrowed(_), _) => (text, 0),
    }
}

/// Where the first credential of a text stands, and what it is; never the value.
fn first_credential(text: &str, entry: &FileEntry) -> Option<String> {
    let found = credential::find_certain(text, tag::style(&entry.path));
    let first = found.first()?;
    let line = 1 + text[..first.range.start].matches('\n').count();
    Some(format!("line {line}: {}", first.what))
}

/// The record of a file that was not worked on at all.
pub(super) fn left_out(entry: &FileEntry, reason: SkipReason, detail: String) -> PreparedFile {
    PreparedFile {
        record: FileRecord {
            entry: entry.clone(),
            hash: None,
            outcome: FileOutcome::Skipped { reason, detail },
        },
        chunks: Vec::new(),
    }
}

fn skipped(read: scan::ReadFile, reason: SkipReason) -> PreparedFile {
    PreparedFile::skipped(read, reason, String::new())
}

impl PreparedFile {
    fn skipped(read: scan::ReadFile, reason: SkipReason, detail: String) -> Self {
        Self {
            record: FileRecord {
                entry: read.entry,
                hash: Some(read.hash),
                outcome: FileOutcome::Skipped { reason, detail },
            },
            chunks: Vec::new(),
        }
    }
}
