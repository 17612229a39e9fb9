//! Text to token ids, by a model's own `tokenizer.json`.
//!
//! The `tokenizers` crate does this for every kind of tokenizer, at 4 MB/s. The embedded encoders are as fast as that, so
//! BERT's WordPiece, the usual case, has a fast path for plain ASCII (most source code) that gives the same ids. All other
//! text goes through the crate.
//!
//! Imports, from the bottom: `pieces`, `ascii` (the fast path), this file.

mod ascii;
mod pieces;

use super::builtin::{VOCABULARY, carries_meaning};
use super::model::BUILT_IN_TOKENIZER;
use ascii::{AsciiWordPiece, TermIds, is_space, runs};
use pieces::narrow;
pub(super) use pieces::{Pieces, Word};
use std::ops::Range;
use std::sync::OnceLock;
use tokenizers::models::ModelWrapper;
use tokenizers::{DecoderWrapper, Encoding, Tokenizer as Crate};

pub(super) struct Tokenizer {
    source: Source,
    fast_path: Option<AsciiWordPiece>,
    /// Special tokens before a text.
    pub lead: Vec<i64>,
    /// Special tokens after a text.
    pub tail: Vec<i64>,
    /// The id that pads the rows of a batch.
    pub pad: i64,
}

enum Source {
    Read(Box<Crate>),
    /// Parsed when a text comes that the fast path does not cover.
    BuiltIn(OnceLock<Box<Crate>>),
}

impl Tokenizer {
    /// Return the tokenizer of the built-in encoders, whose vocabulary is compiled in.
    pub fn built_in() -> Self {
        Self {
            source: Source::BuiltIn(OnceLock::new()),
            fast_path: Some(AsciiWordPiece::built_in()),
            lead: vec![101],
            tail: vec![102],
            pad: 0,
        }
    }

    /// Load a `tokenizer.json`.
    ///
    /// # Errors
    /// Those of the `tokenizers` crate.
    pub fn from_bytes(bytes: &[u8]) -> tokenizers::Result<Self> {
        let (inner, pad) = parse(bytes)?;
        let probe = inner.encode("a", true)?;
        let special = probe.get_special_tokens_mask();
        let ids: Vec<i64> = probe.get_ids().iter().map(|id| i64::from(*id)).collect();
        let n_lead = special.iter().take_while(|flag| **flag == 1).count();
        let n_tail = special.iter().rev().take_while(|flag| **flag == 1).count();
        if n_lead == ids.len() {
            return Err("it turns the letter a into nothing".into());
        }
        Ok(Self {
            fast_path: AsciiWordPiece::of(&inner),
            lead: ids[..n_lead].to_vec(),
            tail: ids[ids.len() - n_tail..].to_vec(),
            pad,
            source: Source::Read(Box::new(inner)),
        })
    }

    /// The crate's tokenizer.
    fn inner(&self) -> &Crate {
        match &self.source {
            Source::Read(inner) => inner,
            Source::BuiltIn(parsed) => parsed.get_or_init(|| match parse(BUILT_IN_TOKENIZER) {
                Ok((inner, _)) => Box::new(inner),
                Err(error) => {
                    unreachable!("the built-in tokenizer is part of the program: {error}")
                }
            }),
        }
    }

    /// Return the token of every id; special tokens are empty.
    pub fn vocabulary(&self) -> Vec<String> {
        let mut terms = Vec::new();
        for (term, id) in self.inner().get_vocab(true) {
            let id = id as usize;
            if terms.len() <= id {
                terms.resize(id + 1, String::new());
            }
            terms[id] = term;
        }
        for (id, token) in self.inner().get_added_tokens_decoder() {
            if token.special {
                terms[id as usize].clear();
            }
        }
        terms
    }

    /// Return for each of `terms`, the vocabulary, whether it may appear in a sparse vector: by the text that it stands for,
    /// without the space that it may begin with.
    pub fn meaningful(&self, terms: &[String]) -> Vec<bool> {
        let inner = self.inner();
        let is_byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        let is_kept = |(id, term): (usize, &String)| match u32::try_from(id) {
            // Such vocabularies spell bytes with letters: `\u{120}` is a space, `\u{10a}` ends a line.
            Ok(id) if is_byte_level && !term.is_empty() => {
                let text = inner.decode(&[id], false);
                text.is_ok_and(|text| carries_meaning(text.trim()))
            }
            _ => carries_meaning(term.strip_prefix('\u{2581}').unwrap_or(term)),
        };
        terms.iter().enumerate().map(is_kept).collect()
    }

    /// Return the id of the token for what the vocabulary does not have; `None` if it has none.
    pub fn unknown(&self) -> Option<i64> {
        let inner = self.inner();
        let token = match inner.get_model() {
            ModelWrapper::WordPiece(model) => Some(&model.unk_token),
            ModelWrapper::WordLevel(model) => Some(&model.unk_token),
            ModelWrapper::BPE(model) => model.unk_token.as_ref(),
            ModelWrapper::Unigram(model) => {
                let model = serde_json::to_value(model).ok()?;
                return model["unk_id"].as_i64();
            }
        };
        inner.token_to_id(token?).map(i64::from)
    }

    /// Entries of the vocabulary, added tokens included.
    pub fn vocabulary_len(&self) -> usize {
        match &self.source {
            Source::Read(inner) => inner.get_vocab_size(true),
            Source::BuiltIn(_) => VOCABULARY.len(),
        }
    }

    /// Tokenize a text, without special tokens.
    ///
    /// # Errors
    /// Those of the `tokenizers` crate; a WordPiece or Unigram vocabulary takes every text.
    pub fn encode(&self, text: &str) -> tokenizers::Result<Pieces> {
        let mut pieces = Pieces::default();
        let Some(fast_path) = &self.fast_path else {
            self.encode_any(text, 0, &mut pieces)?;
            return Ok(pieces);
        };
        match &self.source {
            Source::BuiltIn(_) => self.encode_runs(fast_path, &VOCABULARY, text, &mut pieces)?,
            Source::Read(inner) => match inner.get_model() {
                ModelWrapper::WordPiece(terms) => {
                    self.encode_runs(fast_path, terms, text, &mut pieces)?;
                }
                _ => self.encode_any(text, 0, &mut pieces)?,
            },
        }
        Ok(pieces)
    }

    /// Whether every text has the same tokens after `prefix` as alone.
    pub fn is_separable(&self, prefix: &str) -> bool {
        // BERT's rules never look across white space. Words of other tokenizers begin with their space.
        prefix.is_empty() || self.fast_path.is_some() && prefix.ends_with(is_space)
    }

    /// Tokenize `prefix` and `text` as one, and return the tokens of each. A token that ends in the last word of the prefix
    /// or before belongs to the prefix; a space between the two belongs to the text.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_after(&self, prefix: &str, text: &str) -> tokenizers::Result<(Vec<i64>, Pieces)> {
        let whole = format!("{prefix}{text}");
        let encoding = self.inner().encode(whole.as_str(), false)?;
        let last = prefix.trim_end().len();
        let offsets = encoding.get_offsets().iter();
        let n_prefix = offsets.take_while(|(_, end)| *end <= last).count();
        let mut all = Pieces::default();
        append(&encoding, &whole, 0, &mut all);
        let text_ids = all.ids.split_off(n_prefix);
        let (n_bytes, n_prefix) = (narrow(prefix.len()), narrow(n_prefix));
        let words = all.words.into_iter();
        let words = words.filter(|w| w.text.start >= n_bytes && w.pieces.start >= n_prefix);
        let moved = |word: Word| Word {
            text: word.text.start - n_bytes..word.text.end - n_bytes,
            pieces: word.pieces.start - n_prefix..word.pieces.end - n_prefix,
        };
        let text = Pieces {
            ids: text_ids,
            words: words.map(moved).collect(),
        };
        Ok((all.ids, text))
    }

    /// Split at white space, which BERT's rules never look across. ASCII runs take the fast path; neighbouring other runs
    /// go through the crate together.
    fn encode_runs(
        &self,
        fast_path: &AsciiWordPiece,
        terms: &impl TermIds,
        text: &str,
        pieces: &mut Pieces,
    ) -> tokenizers::Result<()> {
        pieces.ids.reserve(text.len() / 3);
        pieces.words.reserve(text.len() / 6);
        let mut word = Vec::new();
        let mut other: Option<Range<usize>> = None;
        for run in runs(text.as_bytes()) {
            if !fast_path.covers(&text[run.clone()]) {
                other = Some(other.map_or(run.start, |o| o.start)..run.end);
                continue;
            }
            if let Some(span) = other.take() {
                self.encode_any(&text[span.clone()], span.start, pieces)?;
            }
            fast_path.encode(terms, text.as_bytes(), run, &mut word, pieces);
        }
        if let Some(span) = other {
            self.encode_any(&text[span.clone()], span.start, pieces)?;
        }
        Ok(())
    }

    /// Whether both take the fast path by the same rules.
    #[cfg(test)]
    pub fn has_fast_path_of(&self, other: &Self) -> bool {
        self.fast_path.is_some() && self.fast_path == other.fast_path
    }

    /// Tokenize with the crate. `start` is the position of `text` in the whole text.
    fn encode_any(&self, text: &str, start: usize, pieces: &mut Pieces) -> tokenizers::Result<()> {
        append(&self.inner().encode(text, false)?, text, start, pieces);
        Ok(())
    }
}

/// Parse a `tokenizer.json`, and return the id that pads with it.
fn parse(bytes: &[u8]) -> tokenizers::Result<(Crate, i64)> {
    let mut inner = Crate::from_bytes(bytes)?;
    let pad = pad(&inner);
    // The file may set both: MiniLM's pads every text to 128 tokens.
    inner.with_truncation(None)?;
    inner.with_padding(None);
    Ok((inner, pad))
}

/// Return the id that the file states, else that of the usual padding token. It is masked out, so any id would do.
fn pad(inner: &Crate) -> i64 {
    let named = || ["[PAD]", "<pad>"].iter().find_map(|t| inner.token_to_id(t));
    let declared = inner.get_padding().map(|padding| padding.pad_id);
    declared.or_else(named).unwrap_or(0).into()
}

/// Append the crate's tokens of `text`, which starts at `start` in the whole text.
fn append(encoding: &Encoding, text: &str, start: usize, pieces: &mut Pieces) {
    let first = pieces.ids.len();
    pieces
        .ids
        .extend(encoding.get_ids().iter().map(|id| i64::from(*id)));
    let word_ids = encoding.get_word_ids();
    let offsets = encoding.get_offsets();
    let mut index = 0;
    for group in word_ids.chunk_by(|a, b| a == b) {
        let range = index..index + group.len();
        index = range.end;
        let span = offsets[range.start].0..offsets[range.end - 1].1;
        // SentencePiece words start with their space and keep their punctuation.
        let Some(slice) = text.get(span.clone()) else {
            continue;
        };
        let trimmed = slice.trim_start();
        let span = span.end - trimmed.len()..span.end;
        let letters = trimmed.chars().any(char::is_alphanumeric);
        if !letters || !trimmed.chars().all(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        pieces.words.push(Word {
            text: narrow(start + span.start)..narrow(start + span.end),
            pieces: narrow(first + range.start)..narrow(first + range.end),
        });
    }
}

#[cfg(test)]
mod tests;
