//! The tokenizer of one encoder with its rules: prefixes, longest run, how much of a text it sees.

use super::windows::Windows;
use crate::batch::EncoderKind;
use crate::encode::characters::first_chars;
use crate::encode::model::{Graph, Model};
use crate::encode::tokenizer::{Tokenizer, Word};
use crate::profile::recipe::Coverage;
use std::borrow::Cow;
use std::sync::Arc;

/// What the sparse encoder sees with [`Coverage::Head`]: characters, and tokens with the special ones included. The
/// Python builder's figures.
const HEAD_SPARSE_CHARS: usize = 1_000;
const HEAD_SPARSE_TOKENS: usize = 256;
/// Characters that the dense encoder sees with it.
const HEAD_DENSE_CHARS: usize = 2_000;
/// Fewest tokens of text that a window must have room for. With fewer, most of each run would be special tokens.
const MIN_ROOM: usize = 8;

/// The tokenizer and the rules of one encoder, or of two with the same rules.
pub(super) struct Windower {
    pub rules: Rules,
    pub tokenizer: Arc<Tokenizer>,
    pub passage: Template,
    pub query: Template,
}

#[derive(PartialEq, Eq)]
pub(super) struct Rules {
    /// Hash of `tokenizer.json`.
    pub tokenizer: blake3::Hash,
    passage_prefix: String,
    query_prefix: String,
    pub max_len: usize,
    /// Characters of the text that the encoder sees; `None`: all.
    chars: Option<usize>,
    /// Encode the first window only.
    one_window: bool,
    /// Put the model's special tokens around each window.
    has_special: bool,
}

/// The tokens around the text in each window.
pub(super) struct Template {
    prefix: String,
    special_lead: Vec<i64>,
    /// Special tokens, then those of the prefix as they are before most texts.
    lead: Vec<i64>,
    /// A text after the prefix has the same tokens as alone, so `lead` holds for every text.
    is_separable: bool,
    tail: Vec<i64>,
}

impl Windower {
    pub fn new(tokenizer: Arc<Tokenizer>, rules: Rules) -> tokenizers::Result<Self> {
        Ok(Self {
            passage: Template::new(&tokenizer, &rules.passage_prefix, rules.has_special)?,
            query: Template::new(&tokenizer, &rules.query_prefix, rules.has_special)?,
            tokenizer,
            rules,
        })
    }

    /// Return the tokens of the longer template if they leave too little room for text.
    pub fn without_room(&self) -> Option<usize> {
        let overhead = self.passage.len().max(self.query.len());
        (self.rules.max_len < overhead + MIN_ROOM).then_some(overhead)
    }

    /// Tokenize a text and cut it into windows. Also return its words, as ranges of its bytes and tokens.
    pub fn windows(
        &self,
        text: &str,
        template: &Template,
    ) -> tokenizers::Result<(Windows, Vec<Word>)> {
        let text = match self.rules.chars {
            Some(chars) => first_chars(text, chars),
            None => text,
        };
        let (lead, mut pieces) = if template.is_separable || text.is_empty() {
            let lead = Cow::Borrowed(template.lead.as_slice());
            (lead, self.tokenizer.encode(text)?)
        } else {
            let (prefix, pieces) = self.tokenizer.encode_after(&template.prefix, text)?;
            let mut lead = [template.special_lead.as_slice(), &prefix].concat();
            // A text may stretch the prefix; cut it to the room that was checked when the model was opened.
            lead.truncate(self.rules.max_len - template.tail.len() - MIN_ROOM);
            (Cow::Owned(lead), pieces)
        };
        let room = self.rules.max_len - lead.len() - template.tail.len();
        if self.rules.one_window && pieces.ids.len() > room {
            pieces.ids.truncate(room);
            let inside = |word: &Word| word.pieces.end as usize <= room;
            pieces.words.retain(inside);
        }
        let windows = Windows::new(&pieces.ids, (&lead, &template.tail), room);
        Ok((windows, pieces.words))
    }
}

impl Rules {
    pub fn of(model: &Model, coverage: Coverage) -> Self {
        let tokens = match (coverage, model.kind) {
            (Coverage::Head, EncoderKind::Sparse) => Some(HEAD_SPARSE_TOKENS),
            (Coverage::Head, EncoderKind::Dense) | (Coverage::Whole, _) => None,
        };
        let chars = head_chars(model.kind, coverage);
        Self {
            tokenizer: blake3::hash(&model.tokenizer),
            passage_prefix: model.passage_prefix.clone(),
            query_prefix: model.query_prefix.clone(),
            max_len: tokens.unwrap_or(usize::MAX).min(model.max_len),
            chars: chars.into_iter().chain(model.char_cap).min(),
            one_window: coverage == Coverage::Head,
            has_special: !matches!(model.graph, Graph::Table(_)),
        }
    }
}

/// Return how many characters of a text an encoder sees; `None`: all.
pub(in crate::encode) fn head_chars(kind: EncoderKind, coverage: Coverage) -> Option<usize> {
    match (coverage, kind) {
        (Coverage::Whole, _) => None,
        (Coverage::Head, EncoderKind::Sparse) => Some(HEAD_SPARSE_CHARS),
        (Coverage::Head, EncoderKind::Dense) => Some(HEAD_DENSE_CHARS),
    }
}

impl Template {
    fn new(tokenizer: &Tokenizer, prefix: &str, has_special: bool) -> tokenizers::Result<Self> {
        let (special_lead, tail) = match has_special {
            true => (tokenizer.lead.clone(), tokenizer.tail.clone()),
            false => (Vec::new(), Vec::new()),
        };
        let is_separable = tokenizer.is_separable(prefix);
        let prefix_ids = match is_separable {
            true => tokenizer.encode(prefix)?.ids,
            // Any text will do to find the usual tokens of the prefix.
            false => tokenizer.encode_after(prefix, "a")?.0,
        };
        Ok(Self {
            prefix: prefix.to_owned(),
            lead: [special_lead.as_slice(), &prefix_ids].concat(),
            special_lead,
            is_separable,
            tail,
        })
    }

    fn len(&self) -> usize {
        self.lead.len() + self.tail.len()
    }
}
