//! Texts to windows of token ids, which sessions run over.
//!
//! Needs no session and keeps no state: share it between threads and call it from a pool while the encoder thread runs.
//! Two encoders with the same tokenizer and rules, as the embedded pair has, tokenize a text once.
//!
//! Imports, from the bottom: `windows`, `windower`, this file.

mod windower;
mod windows;

use super::error::EncodeError;
use super::model::{BUILT_IN_TOKENIZER, Model};
use super::tokenizer::{Tokenizer, Word};
use crate::batch::EncoderKind;
use crate::credential;
use crate::profile::recipe::Coverage;
use std::sync::Arc;
pub(super) use windower::head_chars;
use windower::{Rules, Template, Windower};
pub(super) use windows::Windows;

/// Turns texts into [`TokenizedText`]s.
pub struct TextTokenizer {
    windowers: Vec<Windower>,
    /// Positions in `windowers`.
    sparse: Option<usize>,
    dense: Option<usize>,
    /// A server encodes, which gets the text itself.
    keeps_text: bool,
}

/// Characters for each token of a text that no tokenizer has seen.
const CHARS_PER_TOKEN: usize = 4;

/// Return about how many tokens so many characters are.
pub(super) fn estimated_tokens(n_chars: usize) -> usize {
    n_chars.div_ceil(CHARS_PER_TOKEN)
}

/// A text ready to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedText {
    /// One for each windower of the tokenizer.
    windows: Vec<Windows>,
    /// Positions in `windows`.
    sparse: Option<usize>,
    dense: Option<usize>,
    /// Words as ranges of bytes in `text` and of tokens in the sparse windows.
    pub(super) words: Vec<Word>,
    /// The text, for its words and for servers. A server gets blanks in place of what may be a credential.
    pub(super) text: Box<str>,
    /// Why a tokenizer refused the text. Encoding the text returns it as an error, on the thread that handles errors.
    pub(super) refused: Option<String>,
}

impl TextTokenizer {
    /// Load the tokenizers, each distinct one once.
    pub(super) fn new(
        sparse: Option<&Model>,
        dense: Option<&Model>,
        coverage: Coverage,
    ) -> Result<Self, EncodeError> {
        let mut tokenizer = Self {
            windowers: Vec::new(),
            sparse: None,
            dense: None,
            keeps_text: false,
        };
        tokenizer.sparse = sparse.map(|m| tokenizer.add(m, coverage)).transpose()?;
        tokenizer.dense = dense.map(|m| tokenizer.add(m, coverage)).transpose()?;
        Ok(tokenizer)
    }

    /// Return the same tokenizer for encoders of which some are servers, if `has_servers`.
    pub(super) fn for_servers(self, has_servers: bool) -> Self {
        Self {
            keeps_text: has_servers,
            ..self
        }
    }

    /// Tokenize a chunk. The vectors are those of the whole text; no routing word is taken from what may be a credential, in
    /// whatever style the text is written. If a tokenizer refuses it (BERT's never does), encoding it fails.
    pub fn tokenize(&self, text: &str) -> TokenizedText {
        self.tokenize_without(text, &[])
    }

    /// The same. No routing word is taken from `hidden` either: values whose keys are not in the chunk.
    pub fn tokenize_without(&self, text: &str, hidden: &[credential::Value]) -> TokenizedText {
        let found = match self.sparse.is_some() || self.keeps_text {
            true => credential::with_values(credential::find_in_any_style(text), text, hidden),
            false => Vec::new(),
        };
        let mut tokenized = self.tokenize_with(text, |windower| &windower.passage);
        if !found.is_empty() {
            let is_credential = |word: &Word| {
                let (start, end) = (word.text.start as usize, word.text.end as usize);
                let next = found.partition_point(|one| one.range.end <= start);
                found.get(next).is_some_and(|one| one.range.start < end)
            };
            tokenized.words.retain(|word| !is_credential(word));
            if self.keeps_text {
                tokenized.text = credential::blank(text, &found).into();
            }
        }
        tokenized
    }

    /// Tokenize a query, with the query's prefix.
    pub fn tokenize_query(&self, text: &str) -> TokenizedText {
        self.tokenize_with(text, |windower| &windower.query)
    }

    /// Return the tokenizer of one kind of encoder; `None` without that encoder.
    pub(super) fn of(&self, kind: EncoderKind) -> Option<&Tokenizer> {
        let position = match kind {
            EncoderKind::Sparse => self.sparse,
            EncoderKind::Dense => self.dense,
        };
        position.map(|position| &*self.windowers[position].tokenizer)
    }

    fn tokenize_with(
        &self,
        text: &str,
        template: impl Fn(&Windower) -> &Template,
    ) -> TokenizedText {
        let mut tokenized = TokenizedText {
            windows: Vec::with_capacity(self.windowers.len()),
            sparse: self.sparse,
            dense: self.dense,
            words: Vec::new(),
            text: "".into(),
            refused: None,
        };
        for (index, windower) in self.windowers.iter().enumerate() {
            match windower.windows(text, template(windower)) {
                Ok((windows, words)) => {
                    tokenized.windows.push(windows);
                    if Some(index) == self.sparse {
                        tokenized.words = words;
                    }
                }
                Err(error) => {
                    tokenized.refused = Some(error.to_string());
                    return tokenized;
                }
            }
        }
        if self.keeps_text || !tokenized.words.is_empty() {
            tokenized.text = text.into();
        }
        tokenized
    }

    /// Return the position of the windower for `model`, which is created unless there is an equal one.
    fn add(&mut self, model: &Model, coverage: Coverage) -> Result<usize, EncodeError> {
        let rules = Rules::of(model, coverage);
        if let Some(index) = self.windowers.iter().position(|it| it.rules == rules) {
            return Ok(index);
        }
        let bad = |reason: String| EncodeError::tokenizer(model.kind, &model.name, reason);
        let is_loaded = |it: &&Windower| it.rules.tokenizer == rules.tokenizer;
        let tokenizer = match self.windowers.iter().find(is_loaded) {
            Some(windower) => Arc::clone(&windower.tokenizer),
            None => Arc::new(match *model.tokenizer == *BUILT_IN_TOKENIZER {
                true => Tokenizer::built_in(),
                false => Tokenizer::from_bytes(&model.tokenizer)
                    .map_err(|error| bad(error.to_string()))?,
            }),
        };
        let windower = Windower::new(tokenizer, rules).map_err(|error| bad(error.to_string()))?;
        if let Some(overhead) = windower.without_room() {
            return Err(EncodeError::bad(
                model.kind,
                &model.name,
                format!(
                    "max_len is {}, but special tokens and prefix alone take {overhead}; \
                     set max_len in helix-model.toml",
                    windower.rules.max_len
                ),
            ));
        }
        self.windowers.push(windower);
        Ok(self.windowers.len() - 1)
    }
}

impl TokenizedText {
    /// Tokens of the text that the encoders run over, without special tokens: the larger count if the two encoders
    /// differ. A quarter of the characters where a server encodes and no tokenizer here.
    pub fn n_tokens(&self) -> usize {
        let counts = self.windows.iter().map(|windows| windows.n_tokens);
        counts.max().unwrap_or_else(|| self.estimated_tokens())
    }

    /// Return about how many tokens the kept text is for a server; 0 if none is kept.
    pub(super) fn estimated_tokens(&self) -> usize {
        estimated_tokens(self.text.chars().count())
    }

    /// Return the token ids of each run of one encoder, special and prefix tokens included. Empty for an empty text
    /// and without that encoder.
    pub fn sequences(&self, kind: EncoderKind) -> impl Iterator<Item = &[i64]> {
        let windows = self.windows(kind).into_iter();
        windows.flat_map(Windows::iter).map(|(ids, _)| ids)
    }

    /// The windows of one kind of encoder; `None` without that encoder.
    pub(super) fn windows(&self, kind: EncoderKind) -> Option<&Windows> {
        let position = match kind {
            EncoderKind::Sparse => self.sparse,
            EncoderKind::Dense => self.dense,
        };
        self.windows.get(position?)
    }
}

#[cfg(test)]
mod tests;
