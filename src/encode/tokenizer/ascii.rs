//! The fast path: BERT's WordPiece over ASCII, which most source code is, with the ids that the crate gives.
//!
//! Covers no other tokenizer and no other text.

use super::pieces::{Pieces, Word, narrow};
use crate::encode::builtin::{VOCABULARY, Vocabulary};
use std::ops::Range;
use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model as _, Tokenizer as Crate};

/// Finds the ids of terms.
pub(super) trait TermIds {
    fn id(&self, term: &[u8]) -> Option<u32>;
}

impl TermIds for WordPiece {
    fn id(&self, term: &[u8]) -> Option<u32> {
        self.token_to_id(std::str::from_utf8(term).ok()?)
    }
}

impl TermIds for Vocabulary {
    fn id(&self, term: &[u8]) -> Option<u32> {
        Vocabulary::id(self, term)
    }
}

/// What the fast path needs besides the vocabulary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AsciiWordPiece {
    unknown: i64,
    /// Tokens that are recognised within a text, such as `[MASK]`.
    added: Vec<String>,
    /// Bytes of the longest entry of the vocabulary.
    longest: usize,
}

impl AsciiWordPiece {
    /// Of the built-in tokenizer, without parsing it.
    pub fn built_in() -> Self {
        let lengths = (0..VOCABULARY.len()).map(|id| VOCABULARY.term(id).len());
        Self {
            unknown: 100,
            added: ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]"]
                .map(str::to_owned)
                .to_vec(),
            longest: lengths.max().unwrap_or(0),
        }
    }

    /// `None` unless the tokenizer is BERT's: uncased, with accents stripped.
    pub fn of(inner: &Crate) -> Option<Self> {
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = inner.get_normalizer() else {
            return None;
        };
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = inner.get_pre_tokenizer() else {
            return None;
        };
        let ModelWrapper::WordPiece(model) = inner.get_model() else {
            return None;
        };
        let added = inner.get_added_tokens_decoder();
        let bert = normalizer.clean_text
            && normalizer.lowercase
            && model.continuing_subword_prefix == CONTINUES
            && model.max_input_chars_per_word == LONGEST_WORD
            && added.values().all(|token| {
                !token.normalized
                    && !token.single_word
                    && !token.content.is_empty()
                    && token.content.bytes().all(|byte| byte.is_ascii_graphic())
            });
        if !bert {
            return None;
        }
        let mut added: Vec<String> = added.into_values().map(|token| token.content).collect();
        added.sort_unstable();
        Some(Self {
            unknown: model.token_to_id(&model.unk_token)?.into(),
            added,
            longest: model.get_vocab().keys().map(String::len).max()?,
        })
    }

    /// Whether the run is ASCII without control characters and without added tokens.
    pub fn covers(&self, run: &str) -> bool {
        run.bytes().all(|byte| byte.is_ascii_graphic())
            && !self.added.iter().any(|token| run.contains(token.as_str()))
    }

    /// Append the tokens of one run. `word` is scratch space.
    pub fn encode(
        &self,
        terms: &impl TermIds,
        text: &[u8],
        run: Range<usize>,
        word: &mut Vec<u8>,
        pieces: &mut Pieces,
    ) {
        let mut at = run.start;
        while at < run.end {
            let letters = text[at..run.end]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric());
            let end = at + letters.count().max(1);
            let first = pieces.ids.len();
            word.clear();
            word.extend_from_slice(CONTINUES.as_bytes());
            word.extend(text[at..end].iter().map(u8::to_ascii_lowercase));
            self.encode_word(terms, word, &mut pieces.ids);
            if text[at].is_ascii_alphanumeric() {
                pieces.words.push(Word {
                    text: narrow(at)..narrow(end),
                    pieces: narrow(first)..narrow(pieces.ids.len()),
                });
            }
            at = end;
        }
    }

    /// Append the tokens of one word: the longest match first. A word with a part that is not in the vocabulary is unknown
    /// as a whole. `word` starts with the mark `##`, which moves along with the start of the part to be matched and
    /// overwrites what has been matched.
    fn encode_word(&self, terms: &impl TermIds, word: &mut [u8], ids: &mut Vec<i64>) {
        let mark = CONTINUES.len();
        let first = ids.len();
        if word.len() - mark > LONGEST_WORD {
            ids.push(self.unknown);
            return;
        }
        let mut from = mark;
        let mut at = mark;
        while at < word.len() {
            let furthest = word.len().min(from + self.longest);
            let found = (at + 1..=furthest)
                .rev()
                .find_map(|end| Some((end, terms.id(&word[from..end])?)));
            let Some((end, id)) = found else {
                ids.truncate(first);
                ids.push(self.unknown);
                return;
            };
            ids.push(id.into());
            at = end;
            from = at - mark;
            word[from..at].copy_from_slice(CONTINUES.as_bytes());
        }
    }
}

/// WordPiece's prefix of a token that continues a word.
const CONTINUES: &str = "##";
/// BERT's limit: longer words are unknown.
const LONGEST_WORD: usize = 100;

/// Whether BERT takes the character for white space. It drops other control characters.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Maximal runs without white space.
pub(super) fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let space = |byte: &u8| is_space(char::from(*byte));
    std::iter::from_fn(move || {
        at += text[at..].iter().take_while(|byte| space(byte)).count();
        let end = at + text[at..].iter().take_while(|byte| !space(byte)).count();
        let run = at..end;
        at = end;
        (!run.is_empty()).then_some(run)
    })
}
