//! Text to token ids, by a model's own `tokenizer.json`.
//!
//! The `tokenizers` crate does this for every kind of tokenizer, at 4 MB/s. The embedded encoders
//! are as fast as that, so BERT's WordPiece, the usual case, has a short cut for plain ASCII (most
//! source code) that gives the same ids. Whatever it does not cover goes through the crate.

mod plain;

use plain::{Plain, is_space, runs};
use std::ops::Range;
use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{Encoding, Tokenizer as Crate};

/// A word of the text and the tokens that it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Bytes in the text.
    pub text: Range<u32>,
    /// Positions in [`Pieces::ids`].
    pub pieces: Range<u32>,
}

/// A tokenized text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    pub ids: Vec<i64>,
    /// In the order of the text, punctuation left out.
    pub words: Vec<Word>,
}

pub(super) struct Tokenizer {
    inner: Crate,
    plain: Option<Plain>,
    /// Special tokens in front of a text.
    pub lead: Vec<i64>,
    /// Special tokens after a text.
    pub tail: Vec<i64>,
    /// The id that fills rows of a batch up.
    pub pad: i64,
}

/// What the file says, or what such a token is usually called. Masked out, so any id of the vocabulary would do.
fn pad(inner: &Crate) -> i64 {
    let named = || ["[PAD]", "<pad>"].iter().find_map(|t| inner.token_to_id(t));
    let declared = inner.get_padding().map(|padding| padding.pad_id);
    declared.or_else(named).unwrap_or(0).into()
}

impl Tokenizer {
    /// # Errors
    /// What the `tokenizers` crate says about the bytes.
    pub fn from_bytes(bytes: &[u8]) -> tokenizers::Result<Self> {
        let mut inner = Crate::from_bytes(bytes)?;
        let pad = pad(&inner);
        // The file brings its own: MiniLM's pads everything to 128 tokens.
        inner.with_truncation(None)?;
        inner.with_padding(None);
        let probe = inner.encode("a", true)?;
        let special = probe.get_special_tokens_mask();
        let ids: Vec<i64> = probe.get_ids().iter().map(|id| i64::from(*id)).collect();
        let n_lead = special.iter().take_while(|flag| **flag == 1).count();
        let n_tail = special.iter().rev().take_while(|flag| **flag == 1).count();
        if n_lead == ids.len() {
            return Err("it turns the letter a into nothing".into());
        }
        Ok(Self {
            plain: Plain::of(&inner),
            lead: ids[..n_lead].to_vec(),
            tail: ids[ids.len() - n_tail..].to_vec(),
            pad,
            inner,
        })
    }

    /// The token string of every id, special tokens empty.
    pub fn vocabulary(&self) -> Vec<String> {
        let mut terms = Vec::new();
        for (term, id) in self.inner.get_vocab(true) {
            let id = id as usize;
            if terms.len() <= id {
                terms.resize(id + 1, String::new());
            }
            terms[id] = term;
        }
        for (id, token) in self.inner.get_added_tokens_decoder() {
            if token.special {
                terms[id as usize].clear();
            }
        }
        terms
    }

    /// Entries of the vocabulary, added tokens included.
    pub fn vocabulary_len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// # Errors
    /// What the `tokenizers` crate says; a WordPiece or Unigram vocabulary takes every text.
    pub fn encode(&self, text: &str) -> tokenizers::Result<Pieces> {
        let mut pieces = Pieces::default();
        match (&self.plain, self.inner.get_model()) {
            (Some(plain), ModelWrapper::WordPiece(model)) => {
                self.encode_runs(plain, model, text, &mut pieces)?;
            }
            _ => self.encode_any(text, 0, &mut pieces)?,
        }
        Ok(pieces)
    }

    /// Whether a text has the same tokens behind `prefix` as alone, whatever it is.
    pub fn parts_after(&self, prefix: &str) -> bool {
        // BERT's rules never look across white space. Other tokenizers' words begin with theirs.
        prefix.is_empty() || self.plain.is_some() && prefix.ends_with(is_space)
    }

    /// The tokens of `prefix` and, apart, those of `text` behind it; the two are tokenized as one. What ends with the
    /// prefix's last word, or before, is the prefix's; a space between the two is the text's, if it is a token's at all.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_behind(
        &self,
        prefix: &str,
        text: &str,
    ) -> tokenizers::Result<(Vec<i64>, Pieces)> {
        let whole = format!("{prefix}{text}");
        let encoding = self.inner.encode(whole.as_str(), false)?;
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

    /// Splits at white space; plain runs take the short cut, the others go through the crate, as
    /// many neighbours at once as there are. (BERT's rules never look across white space.)
    fn encode_runs(
        &self,
        plain: &Plain,
        model: &WordPiece,
        text: &str,
        pieces: &mut Pieces,
    ) -> tokenizers::Result<()> {
        pieces.ids.reserve(text.len() / 3);
        pieces.words.reserve(text.len() / 6);
        let mut word = Vec::new();
        let mut other: Option<Range<usize>> = None;
        for run in runs(text.as_bytes()) {
            if !plain.covers(&text[run.clone()]) {
                other = Some(other.map_or(run.start, |o| o.start)..run.end);
                continue;
            }
            if let Some(span) = other.take() {
                self.encode_any(&text[span.clone()], span.start, pieces)?;
            }
            plain.encode(model, text.as_bytes(), run, &mut word, pieces);
        }
        if let Some(span) = other {
            self.encode_any(&text[span.clone()], span.start, pieces)?;
        }
        Ok(())
    }

    /// Through the crate; `start` is where `text` lies in the whole.
    fn encode_any(&self, text: &str, start: usize, pieces: &mut Pieces) -> tokenizers::Result<()> {
        append(&self.inner.encode(text, false)?, text, start, pieces);
        Ok(())
    }
}

/// What the crate says of `text`, which lies at `start` in the whole.
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
        // Sentencepiece words start with their space and keep their punctuation.
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

/// Chunks are far below 4 GiB; a longer text has its word positions cut off, never a panic.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static BERT: LazyLock<Tokenizer> = LazyLock::new(|| {
        let bytes = include_bytes!("../../assets/models/tokenizer.json");
        Tokenizer::from_bytes(bytes).expect("the embedded tokenizer is good")
    });

    /// Ids by the crate alone, over the whole text.
    fn by_crate(text: &str) -> Pieces {
        let mut pieces = Pieces::default();
        BERT.encode_any(text, 0, &mut pieces).expect("encodes");
        pieces
    }

    /// Ids and words must be those of the crate.
    fn check(text: &str) {
        let ours = BERT.encode(text).expect("encodes");
        let theirs = by_crate(text);
        assert_eq!(ours.ids, theirs.ids, "{text:?}");
        assert_eq!(ours.words, theirs.words, "{text:?}");
    }

    #[test]
    fn the_short_cut_is_taken_and_agrees() {
        assert!(BERT.plain.is_some());
        for text in [
            "",
            " \t\r\n ",
            "fn parse_header(input: &[u8]) -> Result<Header, ParseError> {",
            "[CLS] hello [MASK]world[SEP]x [UNK] [unused1] [PADx",
            "naive caf\u{e9} \u{c5}NGSTR\u{d6}M \u{df} \u{17f} \u{130}stanbul",
            "\u{65e5}\u{672c}\u{8a9e} and English \u{6f22}\u{5b57}kanji mixed",
            "\u{200b}\u{a0}zero\u{200b}width\u{2028}separator",
            "e\u{301} combining t\u{335}e\u{336}x\u{337}t \u{301}alone",
            "tab\tnul\0ctl\u{1}x\u{b}vt\u{c}ff\u{1c}fs\u{85}nel \u{7f}del",
            "emoji \u{1f469}\u{200d}\u{1f469} \u{1f1e9}\u{1f1ea} \u{fb01}g \u{ff26}\u{ff35}",
            "\u{e000} private \u{fffd} replacement \u{10ffff}",
        ] {
            check(text);
        }
        for n in [99, 100, 101, 5000] {
            check(&format!("x {} y", "a".repeat(n)));
        }
    }

    #[test]
    fn words_point_at_their_text_and_their_pieces() {
        let text = "let foo_bar = Tokenizer::caf\u{e9}(\u{130}x);";
        let pieces = BERT.encode(text).expect("encodes");
        let words: Vec<&str> = pieces
            .words
            .iter()
            .map(|word| &text[word.text.start as usize..word.text.end as usize])
            .collect();
        assert_eq!(
            words,
            ["let", "foo", "bar", "Tokenizer", "caf\u{e9}", "\u{130}x"]
        );
        let tokenizer = &pieces.words[3].pieces;
        let ids = &pieces.ids[tokenizer.start as usize..tokenizer.end as usize];
        let vocabulary = BERT.vocabulary();
        let parts: Vec<&str> = ids
            .iter()
            .map(|id| vocabulary[*id as usize].as_str())
            .collect();
        assert_eq!(parts, ["token", "##izer"]);
    }

    #[test]
    fn special_tokens_frame_a_text_and_have_no_term() {
        assert_eq!((&BERT.lead[..], &BERT.tail[..]), (&[101][..], &[102][..]));
        let vocabulary = BERT.vocabulary();
        assert_eq!(vocabulary.len(), 30_522);
        assert_eq!(
            (vocabulary[101].as_str(), vocabulary[2023].as_str()),
            ("", "this")
        );
    }

    /// Pieces that begin with their space, as SentencePiece has them.
    static SPACED: LazyLock<Tokenizer> = LazyLock::new(|| {
        let mut pieces = vec![("<unk>".to_owned(), 0.0)];
        for (n, piece) in [
            "\u{2581}",
            "\u{2581}query",
            "\u{2581}he",
            "llo",
            "\u{2581}world",
            ":",
            ", ",
        ]
        .into_iter()
        .enumerate()
        {
            pieces.push((piece.to_owned(), -1.0 - n as f64 / 10.0));
        }
        pieces.extend(('a'..='z').map(|letter| (letter.to_string(), -5.0)));
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "post_processor": null, "decoder": null,
            "pre_tokenizer": {
                "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true,
            },
            "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false},
        });
        Tokenizer::from_bytes(json.to_string().as_bytes()).expect("a good tokenizer")
    });

    #[test]
    fn a_space_behind_a_prefix_belongs_to_the_text() {
        let text = "hello world: abc";
        let (prefix, pieces) = SPACED.encode_behind("query: ", text).expect("encodes");
        let vocabulary = SPACED.vocabulary();
        let spelled = |ids: &[i64]| -> Vec<String> {
            let ids = ids.iter();
            ids.map(|id| vocabulary[*id as usize].replace('\u{2581}', "_"))
                .collect()
        };
        assert_eq!(spelled(&prefix), ["_query", ":"]);
        let expected = ["_he", "llo", "_world", ":", "_", "a", "b", "c"];
        assert_eq!(spelled(&pieces.ids), expected);
        assert!(!SPACED.parts_after("query: ") && SPACED.parts_after(""));
        let word = &pieces.words[0];
        assert_eq!(
            &text[word.text.start as usize..word.text.end as usize],
            "hello"
        );
        assert_eq!(word.pieces, 0..2);
        // One more id, had the two been tokenized apart.
        assert_eq!(
            spelled(&SPACED.encode("query: ").expect("encodes").ids),
            ["_query", ":", "_"]
        );
    }

    proptest! {
        #[test]
        fn prefix_and_text_have_the_tokens_of_both_together(
            text in prop_oneof!["[a-z :\n]{0,40}", "\\PC{0,20}"],
            prefix in prop_oneof![Just("query: "), Just("q"), Just("query:"), Just("a b\n"), Just("\u{e9} ")],
        ) {
            for tokenizer in [&*SPACED, &*BERT] {
                let (mut ids, pieces) = tokenizer.encode_behind(prefix, &text).expect("encodes");
                for word in &pieces.words {
                    prop_assert!(text.get(word.text.start as usize..word.text.end as usize).is_some());
                    prop_assert!((word.pieces.end as usize) <= pieces.ids.len());
                }
                if tokenizer.parts_after(prefix) {
                    prop_assert_eq!(&ids, &tokenizer.encode(prefix).expect("encodes").ids);
                    prop_assert_eq!(&pieces, &tokenizer.encode(&text).expect("encodes"));
                }
                ids.extend(&pieces.ids);
                let together = tokenizer.encode(&format!("{prefix}{text}")).expect("encodes");
                prop_assert_eq!(ids, together.ids);
            }
        }

        #[test]
        fn code_like_text_agrees_with_the_crate(text in "[a-zA-Z0-9_ \t\n(){}\\[\\]<>.,;:=&*/#-]{0,400}") {
            check(&text);
        }

        #[test]
        fn any_text_agrees_with_the_crate(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("[CLS]".to_owned()), Just("##".to_owned()), Just(" ".to_owned()),
                    "\\PC{0,12}", "[a-z]{1,30}", prop::char::any().prop_map(String::from),
                ],
                0..30,
            )
        ) {
            check(&parts.concat());
        }
    }
}
