//! What the pool does with one file: read, decode, chunk, tag, tokenize.
//!
//! Runs on many files at once and touches nothing but its own. A file that cannot be indexed is a
//! record with a reason, not an error.

use crate::chunk::{self, Decoded};
use crate::credential::{self, Found, Style};
use crate::encode::{Prepared, TextPreparer};
use crate::failpoint;
use crate::file::{FileEntry, FileOutcome, FileRecord, SkipReason};
use crate::ids::ContentHash;
use crate::profile::Limits;
use crate::profile::recipe::{Recipe, SecretsInText};
use crate::protocol::SegmentTask;
use crate::scan;
use crate::tag::{self, TagInput, Tags};
use std::borrow::Cow;

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
    pub tokens: Prepared,
    /// What looks like a credential in `text`.
    pub found: Vec<Found>,
}

/// What preparing a file needs besides the file.
pub(super) struct Preparer {
    pub recipe: Recipe,
    pub limits: Limits,
    pub texts: std::sync::Arc<TextPreparer>,
}

impl Preparer {
    pub fn prepare(&self, task: &SegmentTask, entry: &FileEntry) -> PreparedFile {
        failpoint::at("worker::prepare", &entry.path.spelling());
        let read = match scan::read_file(&task.root_path, entry, &self.limits) {
            Ok(read) => read,
            Err(failure) => return left_out(entry, failure.reason, failure.detail),
        };
        let text = match chunk::decode(&read.bytes, self.recipe.chunker) {
            Decoded::Text(text) => text,
            Decoded::Binary => return skipped(read, SkipReason::Binary),
            Decoded::Blank => return skipped(read, SkipReason::Blank),
        };
        let (text, redacted) = match self.recipe.secrets_in_text {
            SecretsInText::Keep => (text, 0),
            SecretsInText::Redact => redact(text, entry),
            SecretsInText::Skip => match first_credential(&text, entry) {
                Some(detail) => {
                    return PreparedFile::skipped(read, SkipReason::SecretInText, detail);
                }
                None => (text, 0),
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
            Style::Any => self.texts.prepare_without(&chunk.text, &found),
            Style::Settings => self.texts.prepare(&chunk.text),
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
