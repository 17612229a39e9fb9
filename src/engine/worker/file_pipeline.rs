//! What a pool thread does with one file: read, decode, chunk, tag, tokenize.
//!
//! Works on many files at once and touches nothing but its own. A file that cannot be indexed becomes
//! a record with a reason, not an error.

use crate::artifact;
use crate::chunk::{self, Chunk, Decoded, DecodedText};
use crate::credential::{self, Found, Style};
use crate::encode::{TextTokenizer, TokenizedText};
use crate::failpoint::failpoint;
use crate::file::{FileEntry, FileOutcome, FileRecord, SkipReason, TextKind};
use crate::ids::FileHash;
use crate::profile::Limits;
use crate::profile::recipe::{Recipe, RuleSet, SecretsInText};
use crate::protocol::SegmentTask;
use crate::scan::{self, ReadFile};
use crate::tag::visibility::visibility;
use crate::tag::{self, TagInput, TaggedChunk};
use crate::text;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// A file ready for the encoders.
pub(super) struct PreparedFile {
    pub record: FileRecord,
    pub chunks: Vec<PreparedChunk>,
}

/// A chunk with what only the encoders need of it.
pub(super) struct PreparedChunk {
    pub tagged: TaggedChunk<'static>,
    pub tokens: TokenizedText,
    /// What looks like a credential in the text.
    pub credentials: Vec<Found>,
}

impl PreparedFile {
    /// A file without chunks.
    pub fn skipped(record: FileRecord) -> Self {
        Self {
            record,
            chunks: Vec::new(),
        }
    }

    /// Bytes of all chunks.
    pub fn text_bytes(&self) -> usize {
        let texts = self.chunks.iter().map(|chunk| &chunk.tagged.chunk.text);
        texts.map(|text| text.len()).sum()
    }
}

/// Prepares files; the same for all files of a build.
pub(super) struct FilePipeline {
    pub recipe: Recipe,
    pub limits: Limits,
    pub tokenizers: Arc<TextTokenizer>,
}

impl FilePipeline {
    /// Read the file at position `n` of the task and prepare its chunks.
    pub fn prepare(&self, task: &SegmentTask, n: u32) -> PreparedFile {
        let entry = &task.files[n as usize];
        failpoint!("worker::prepare", entry.path.spelling());
        let file = self.prepare_as_it_is(task, entry);
        let Some(planned) = &task.planned else {
            return file;
        };
        match difference(entry, planned.get(&n), &file.record) {
            None => file,
            Some(detail) => PreparedFile::skipped(skip_unread(entry, SkipReason::Changed, detail)),
        }
    }

    fn prepare_as_it_is(&self, task: &SegmentTask, entry: &FileEntry) -> PreparedFile {
        let reading = Reading {
            limits: &self.limits,
            recipe: &self.recipe,
            is_authored: task.authored.contains(&entry.path),
        };
        let read = match read_text(&task.root_path, entry, reading) {
            Ok(read) => read,
            Err(skipped) => return PreparedFile::skipped(*skipped),
        };
        let kind = tag::Kind::of(self.recipe.rules, &entry.path, read.decoded.language);
        let chunks: Vec<_> = self
            .cut(&read.decoded, entry)
            .into_iter()
            .map(|chunk| Chunk {
                place: read.decoded.origin.trace(chunk.place),
                ..chunk
            })
            .map(|chunk| self.prepare_chunk(task, entry, kind, chunk, &read.hidden))
            .collect();
        if chunks.is_empty() {
            return PreparedFile::skipped(skip_read(read.file, SkipReason::Blank, String::new()));
        }
        let language = match self.recipe.rules {
            RuleSet::Compat => tag::language(&entry.path),
            RuleSet::Standard => read.decoded.language.map(|language| language.name),
        };
        let kept = chunks.iter().flat_map(|chunk| &chunk.credentials);
        let kept = kept.filter(|found| found.is_certain).count() as u32;
        let head_bytes = read.file.is_head().then_some(read.file.bytes.len() as u64);
        PreparedFile {
            record: FileRecord {
                entry: read.file.entry,
                hash: Some(read.file.hash),
                sha256: read.file.sha256,
                outcome: FileOutcome::Indexed {
                    chunks: chunks.len() as u32,
                    credentials: read.redacted + kept,
                    text: TextKind {
                        encoding: read.decoded.encoding.into(),
                        language: language.map(Into::into),
                        replaced: read.decoded.replaced,
                        elided: read.decoded.elided,
                        head_bytes,
                    },
                },
            },
            chunks,
        }
    }

    fn cut<'a>(&self, decoded: &'a DecodedText, entry: &FileEntry) -> Vec<Chunk<'a>> {
        match self.recipe.rules {
            RuleSet::Compat => chunk::chunk(&decoded.text, &entry.path, &self.recipe),
            RuleSet::Standard => {
                chunk::chunk_in(decoded.language, &decoded.text, &entry.path, &self.recipe)
            }
        }
    }

    fn prepare_chunk(
        &self,
        task: &SegmentTask,
        entry: &FileEntry,
        kind: tag::Kind,
        mut chunk: Chunk<'_>,
        hidden: &[credential::Value],
    ) -> PreparedChunk {
        let path = &entry.path;
        let style = kind.style();
        // Keys of data are names too.
        let symbols = &mut chunk.place.symbols;
        symbols.retain(|name| credential::find(name, style).is_empty());
        let credentials = credential::find(&chunk.text, style);
        let credentials = credential::with_values(credentials, &chunk.text, hidden);
        let input = TagInput {
            text: &chunk.text,
            path,
            root_label: &task.root_label,
            sequence: chunk.sequence,
            around: match self.recipe.rules {
                RuleSet::Standard => &chunk.place.symbols,
                RuleSet::Compat => &[],
            },
            kind,
        };
        let tags = tag::tag_without(&input, &credentials);
        let tokens = self.tokenizers.tokenize_without(&chunk.text, hidden);
        PreparedChunk {
            tagged: TaggedChunk {
                visibility: visibility(path, &self.recipe, &tags, &chunk.text),
                tags,
                chunk: chunk.into_owned(),
            },
            tokens,
            credentials,
        }
    }
}

/// Return how a file differs from its plan, by the rules of ledgers: by path, size and modification time; if only the time
/// differs, by the hash of the bytes, where it is known.
fn difference(planned: &FileEntry, hash: Option<&FileHash>, found: &FileRecord) -> Option<String> {
    let is_gone = |reason: &SkipReason| *reason == SkipReason::Vanished;
    match &found.outcome {
        FileOutcome::Skipped { reason, .. } if is_gone(reason) => {
            return Some("deleted since the plan".to_owned());
        }
        // It could not be read, so nothing is known of it.
        _ if found.hash.is_none() => return None,
        _ => {}
    }
    if found.entry.size != planned.size {
        let (before, now) = (planned.size, found.entry.size);
        return Some(format!("{before} bytes in the plan, now {now}"));
    }
    let is_same = found.entry.mtime_ns == planned.mtime_ns || hash == found.hash.as_ref();
    (!is_same).then(|| "modified since the plan".to_owned())
}

/// Read a file that the walk found eligible, and return why a build with the same profile would skip it; `None`
/// if it would index the file.
pub fn content_skip_reason(
    root: &Path,
    entry: &FileEntry,
    reading: Reading<'_>,
) -> Option<(SkipReason, String)> {
    match read_text(root, entry, reading).err()?.outcome {
        FileOutcome::Skipped { reason, detail } => Some((reason, detail)),
        FileOutcome::Indexed { .. } => None,
    }
}

/// How a file is read.
#[derive(Clone, Copy)]
pub struct Reading<'r> {
    pub limits: &'r Limits,
    pub recipe: &'r Recipe,
    /// A person wrote the file, as its repository says.
    pub is_authored: bool,
}

/// A file's text as it is indexed.
struct ReadText {
    file: ReadFile,
    decoded: DecodedText,
    /// Credentials that were replaced in the text.
    redacted: u32,
    /// Values whose keys may be gone from a text that was taken apart.
    hidden: Vec<credential::Value>,
}

/// Read and decode a file. The error is the record of a file that is skipped.
fn read_text(
    root: &Path,
    entry: &FileEntry,
    reading: Reading<'_>,
) -> Result<ReadText, Box<FileRecord>> {
    let Reading {
        limits,
        recipe,
        is_authored,
    } = reading;
    let file = scan::read_file(root, entry, limits)
        .map_err(|failure| Box::new(skip_unread(entry, failure.reason, failure.detail)))?;
    let decoded = match recipe.rules {
        RuleSet::Compat => chunk::decode(&file.bytes, recipe.chunker),
        RuleSet::Standard => text::decode(&file.bytes, &entry.path),
    };
    let decoded = match decoded {
        Decoded::Text(decoded) => decoded,
        Decoded::Undecodable(detail) => {
            return Err(refused(file, SkipReason::Undecodable, detail));
        }
        Decoded::Binary => return Err(refused(file, SkipReason::Binary, String::new())),
        Decoded::Blank => return Err(refused(file, SkipReason::Blank, String::new())),
    };
    if recipe.rules == RuleSet::Standard
        && !is_authored
        && let Some((reason, detail)) = artifact::recognise(&entry.path, &decoded.text)
    {
        return Err(refused(file, reason, detail));
    }
    let style = tag::Kind::of(recipe.rules, &entry.path, decoded.language).style();
    let (decoded, redacted) = match recipe.secrets_in_text {
        SecretsInText::Keep => (decoded, 0),
        SecretsInText::Redact => redact(decoded, style),
        SecretsInText::Skip => match first_credential(&decoded.text, style) {
            Some(detail) => return Err(refused(file, SkipReason::SecretInText, detail)),
            None => (decoded, 0),
        },
    };
    // Credentials come first: a key in base64 would be left out before it is found.
    let hidden = match recipe.rules == RuleSet::Standard && text::is_taken_apart(&decoded) {
        true => credential::values(&decoded.text),
        false => Vec::new(),
    };
    let decoded = match recipe.rules {
        RuleSet::Compat => decoded,
        RuleSet::Standard => text::prepare(decoded),
    };
    Ok(ReadText {
        file,
        decoded,
        redacted,
        hidden,
    })
}

/// Return the text with its credentials replaced, and their number.
fn redact(decoded: DecodedText, style: Style) -> (DecodedText, u32) {
    let redacted = credential::redact_with_lines(&decoded.text, style);
    let Cow::Owned(text) = redacted.text else {
        return (decoded, 0);
    };
    let decoded = DecodedText {
        text,
        origin: decoded.origin.rewritten(redacted.lines),
        ..decoded
    };
    (decoded, redacted.count)
}

/// Return the line and the kind of a text's first credential, never its value.
fn first_credential(text: &str, style: Style) -> Option<String> {
    let found = credential::find_certain(text, style);
    let first = found.first()?;
    let line = 1 + text[..first.range.start].matches('\n').count();
    Some(format!("line {line}: {}", first.what))
}

/// The record of a file that was skipped before it was read.
pub(super) fn skip_unread(entry: &FileEntry, reason: SkipReason, detail: String) -> FileRecord {
    FileRecord {
        entry: entry.clone(),
        hash: None,
        sha256: None,
        outcome: FileOutcome::Skipped { reason, detail },
    }
}

fn refused(file: ReadFile, reason: SkipReason, detail: String) -> Box<FileRecord> {
    Box::new(skip_read(file, reason, detail))
}

fn skip_read(file: ReadFile, reason: SkipReason, detail: String) -> FileRecord {
    FileRecord {
        entry: file.entry,
        hash: Some(file.hash),
        sha256: file.sha256,
        outcome: FileOutcome::Skipped { reason, detail },
    }
}
