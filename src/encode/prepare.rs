//! Text to the windows of token ids that sessions run over.
//!
//! Needs no session, is shared between threads, and has no state: call it from a pool while the
//! encoder thread runs. Where both encoders have the same tokenizer and rules (the embedded pair
//! does) a text is tokenized once.

use super::error::EncodeError;
use super::model::Model;
use super::tokenizer::{Tokenizer, Word};
use crate::batch::EncoderKind;
use crate::credential::{self, Found, Style};
use crate::profile::recipe::Coverage;
use std::borrow::Cow;
use std::sync::Arc;

/// What [`Coverage::Head`] leaves to the sparse encoder: characters, and tokens with the special
/// ones included. The Python builder's figures.
const HEAD_SPARSE_CHARS: usize = 1_000;
const HEAD_SPARSE_TOKENS: usize = 256;
/// What it leaves to the dense encoder.
const HEAD_DENSE_CHARS: usize = 2_000;
/// Tokens of a text that a window must have room for: less would be all frame and no picture.
const LEAST_ROOM: usize = 8;

/// Turns texts into [`Prepared`] ones.
pub struct TextPreparer {
    lanes: Vec<Lane>,
    /// Positions in `lanes`.
    sparse: Option<usize>,
    dense: Option<usize>,
}

/// A text ready to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    lanes: Vec<Windows>,
    sparse: Option<usize>,
    dense: Option<usize>,
    /// Bytes of `text`, and tokens of the sparse lane.
    pub(super) words: Vec<Word>,
    pub(super) text: Box<str>,
    /// Why a tokenizer did not take the text: an error of [`super::Encoders::encode`], where errors
    /// are dealt with, not of the pool.
    pub(super) refused: Option<String>,
}

/// A tokenized text, cut into windows that come each with its special and prefix tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// All windows, one after the other.
    ids: Vec<i64>,
    /// Ids of a full window.
    stride: usize,
    /// Ids in front of the text's in each window.
    lead: usize,
    /// Ids of the text in a full window.
    room: usize,
    /// Tokens of the text in all windows.
    pub n_tokens: usize,
}

/// A tokenizer and the rules of one encoder, or of two with the same rules.
struct Lane {
    rules: Rules,
    tokenizer: Arc<Tokenizer>,
    passage: Frame,
    query: Frame,
}

#[derive(PartialEq, Eq)]
struct Rules {
    tokenizer: blake3::Hash,
    passage_prefix: String,
    query_prefix: String,
    max_len: usize,
    chars: Option<usize>,
    /// Only the first window.
    one_window: bool,
}

/// What stands around the text's part in each window.
struct Frame {
    prefix: String,
    /// Special tokens and the prefix's, which a text may change where the two are not `apart`.
    lead: Vec<i64>,
    /// Whether a text has the same tokens behind the prefix as alone.
    apart: bool,
    tail: Vec<i64>,
}

impl TextPreparer {
    /// Reads the tokenizers; each distinct one once.
    pub(super) fn new(
        sparse: Option<&Model>,
        dense: Option<&Model>,
        coverage: Coverage,
    ) -> Result<Self, EncodeError> {
        let mut preparer = Self {
            lanes: Vec::new(),
            sparse: None,
            dense: None,
        };
        preparer.sparse = sparse.map(|m| preparer.lane(m, coverage)).transpose()?;
        preparer.dense = dense.map(|m| preparer.lane(m, coverage)).transpose()?;
        Ok(preparer)
    }

    /// Tokenizes a chunk. Should a tokenizer refuse it (BERT's never does), encoding it fails.
    pub fn prepare(&self, text: &str) -> Prepared {
        let found = match self.sparse {
            Some(_) => credential::find(text, Style::Any),
            None => Vec::new(),
        };
        self.prepare_without(text, &found)
    }

    /// The same, given what [`credential::find`] says of the text in [`Style::Any`]: the vectors are those of the
    /// whole text, but no word for routing is taken from what was `found`.
    pub fn prepare_without(&self, text: &str, found: &[Found]) -> Prepared {
        let mut prepared = self.prepare_in(text, |lane| &lane.passage);
        if !found.is_empty() {
            let is_hidden = |word: &Word| {
                let (start, end) = (word.text.start as usize, word.text.end as usize);
                let next = found.partition_point(|one| one.range.end <= start);
                found.get(next).is_some_and(|one| one.range.start < end)
            };
            prepared.words.retain(|word| !is_hidden(word));
        }
        prepared
    }

    /// Tokenizes a query, with the query's prefix.
    pub fn prepare_query(&self, text: &str) -> Prepared {
        self.prepare_in(text, |lane| &lane.query)
    }

    pub(super) fn sparse_tokenizer(&self) -> Option<&Tokenizer> {
        self.sparse.map(|lane| &*self.lanes[lane].tokenizer)
    }

    pub(super) fn dense_tokenizer(&self) -> Option<&Tokenizer> {
        self.dense.map(|lane| &*self.lanes[lane].tokenizer)
    }

    fn prepare_in(&self, text: &str, frame: impl Fn(&Lane) -> &Frame) -> Prepared {
        let mut prepared = Prepared {
            lanes: Vec::with_capacity(self.lanes.len()),
            sparse: self.sparse,
            dense: self.dense,
            words: Vec::new(),
            text: "".into(),
            refused: None,
        };
        for (index, lane) in self.lanes.iter().enumerate() {
            match lane.windows(text, frame(lane)) {
                Ok((windows, words)) => {
                    prepared.lanes.push(windows);
                    if Some(index) == self.sparse {
                        prepared.words = words;
                    }
                }
                Err(error) => {
                    prepared.refused = Some(error.to_string());
                    return prepared;
                }
            }
        }
        if !prepared.words.is_empty() {
            prepared.text = text.into();
        }
        prepared
    }

    /// Position of the lane for `model`, made if there is none like it.
    fn lane(&mut self, model: &Model, coverage: Coverage) -> Result<usize, EncodeError> {
        let rules = Rules::of(model, coverage);
        if let Some(index) = self.lanes.iter().position(|lane| lane.rules == rules) {
            return Ok(index);
        }
        let bad = |reason: String| EncodeError::tokenizer(model.kind, &model.name, reason);
        let same = |lane: &&Lane| lane.rules.tokenizer == rules.tokenizer;
        let tokenizer = match self.lanes.iter().find(same) {
            Some(lane) => Arc::clone(&lane.tokenizer),
            None => Tokenizer::from_bytes(&model.tokenizer)
                .map(Arc::new)
                .map_err(|error| bad(error.to_string()))?,
        };
        let frame =
            |prefix: &str| Frame::new(&tokenizer, prefix).map_err(|error| bad(error.to_string()));
        let lane = Lane {
            passage: frame(&rules.passage_prefix)?,
            query: frame(&rules.query_prefix)?,
            tokenizer,
            rules,
        };
        let frame_len = lane.passage.len().max(lane.query.len());
        if lane.rules.max_len < frame_len + LEAST_ROOM {
            return Err(EncodeError::bad(
                model.kind,
                &model.name,
                format!(
                    "max_len is {}, but special tokens and prefix alone take {frame_len}; \
                     set max_len in helix-model.toml",
                    lane.rules.max_len
                ),
            ));
        }
        self.lanes.push(lane);
        Ok(self.lanes.len() - 1)
    }
}

impl Rules {
    fn of(model: &Model, coverage: Coverage) -> Self {
        let (chars, tokens) = match (coverage, model.kind) {
            (Coverage::Whole, _) => (None, None),
            (Coverage::Head, EncoderKind::Sparse) => {
                (Some(HEAD_SPARSE_CHARS), Some(HEAD_SPARSE_TOKENS))
            }
            (Coverage::Head, EncoderKind::Dense) => (Some(HEAD_DENSE_CHARS), None),
        };
        Self {
            tokenizer: blake3::hash(&model.tokenizer),
            passage_prefix: model.passage_prefix.clone(),
            query_prefix: model.query_prefix.clone(),
            max_len: tokens.unwrap_or(usize::MAX).min(model.max_len),
            chars: chars.into_iter().chain(model.char_cap).min(),
            one_window: coverage == Coverage::Head,
        }
    }
}

impl Frame {
    fn new(tokenizer: &Tokenizer, prefix: &str) -> tokenizers::Result<Self> {
        let apart = tokenizer.parts_after(prefix);
        let of_prefix = match apart {
            true => tokenizer.encode(prefix)?.ids,
            // Behind it any text does.
            false => tokenizer.encode_behind(prefix, "a")?.0,
        };
        Ok(Self {
            prefix: prefix.to_owned(),
            lead: [tokenizer.lead.as_slice(), &of_prefix].concat(),
            apart,
            tail: tokenizer.tail.clone(),
        })
    }

    fn len(&self) -> usize {
        self.lead.len() + self.tail.len()
    }
}

impl Lane {
    fn windows(&self, text: &str, frame: &Frame) -> tokenizers::Result<(Windows, Vec<Word>)> {
        let text = match self.rules.chars {
            Some(chars) => first_chars(text, chars),
            None => text,
        };
        let (lead, mut pieces) = if frame.apart || text.is_empty() {
            let lead = Cow::Borrowed(frame.lead.as_slice());
            (lead, self.tokenizer.encode(text)?)
        } else {
            let (of_prefix, pieces) = self.tokenizer.encode_behind(&frame.prefix, text)?;
            let mut lead = [self.tokenizer.lead.as_slice(), &of_prefix].concat();
            // A prefix has as much room as was found to be enough for it; one that a text stretches is cut.
            lead.truncate(self.rules.max_len - frame.tail.len() - LEAST_ROOM);
            (Cow::Owned(lead), pieces)
        };
        let room = self.rules.max_len - lead.len() - frame.tail.len();
        if self.rules.one_window && pieces.ids.len() > room {
            pieces.ids.truncate(room);
            let inside = |word: &Word| word.pieces.end as usize <= room;
            pieces.words.retain(inside);
        }
        let windows = Windows::new(&pieces.ids, (&lead, &frame.tail), room);
        Ok((windows, pieces.words))
    }
}

impl Windows {
    /// `around` are the ids in front and behind.
    fn new(text_ids: &[i64], around: (&[i64], &[i64]), room: usize) -> Self {
        let (lead, tail) = around;
        let n_around = lead.len() + tail.len();
        let n_windows = text_ids.len().div_ceil(room);
        let mut ids = Vec::with_capacity(text_ids.len() + n_windows * n_around);
        for part in text_ids.chunks(room) {
            ids.extend_from_slice(lead);
            ids.extend_from_slice(part);
            ids.extend_from_slice(tail);
        }
        Self {
            ids,
            stride: room + n_around,
            lead: lead.len(),
            room,
            n_tokens: text_ids.len(),
        }
    }

    /// Each window's ids with the number of the text's tokens among them. None for an empty text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[i64], usize)> {
        let frame = self.stride - self.room;
        self.ids
            .chunks(self.stride)
            .map(move |window| (window, window.len() - frame))
    }

    /// The id of the text's token at `position`.
    pub fn text_id(&self, position: usize) -> Option<i64> {
        let window = position / self.room;
        let at = window * self.stride + self.lead + position % self.room;
        self.ids.get(at).copied()
    }
}

impl Prepared {
    /// Tokens of the text that the encoders run over, without special tokens: the longer of the two
    /// encoders' when they differ.
    pub fn n_tokens(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lane.n_tokens)
            .max()
            .unwrap_or(0)
    }

    /// The token ids of each run of one encoder, special and prefix tokens included. None for an empty text,
    /// or without such an encoder.
    pub fn sequences(&self, kind: EncoderKind) -> impl Iterator<Item = &[i64]> {
        let windows = match kind {
            EncoderKind::Sparse => self.sparse(),
            EncoderKind::Dense => self.dense(),
        };
        windows
            .into_iter()
            .flat_map(Windows::iter)
            .map(|(ids, _)| ids)
    }

    pub(super) fn sparse(&self) -> Option<&Windows> {
        self.lanes.get(self.sparse?)
    }

    pub(super) fn dense(&self) -> Option<&Windows> {
        self.lanes.get(self.dense?)
    }
}

/// The first `n` Unicode scalar values.
fn first_chars(text: &str, n: usize) -> &str {
    match text.char_indices().nth(n) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::encoders::ModelSource;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn embedded(kind: EncoderKind) -> Model {
        let model = Model::resolve(kind, &ModelSource::Embedded).expect("resolves");
        model.expect("there is an embedded model")
    }

    fn preparer(change: impl Fn(&mut Model), coverage: Coverage) -> TextPreparer {
        let (mut sparse, mut dense) = (embedded(EncoderKind::Sparse), embedded(EncoderKind::Dense));
        change(&mut sparse);
        change(&mut dense);
        TextPreparer::new(Some(&sparse), Some(&dense), coverage).expect("a good tokenizer")
    }

    static WHOLE: LazyLock<TextPreparer> = LazyLock::new(|| preparer(|_| (), Coverage::Whole));
    static HEAD: LazyLock<TextPreparer> = LazyLock::new(|| preparer(|_| (), Coverage::Head));

    fn lengths(windows: &Windows) -> Vec<usize> {
        windows.iter().map(|(ids, _)| ids.len()).collect()
    }

    #[test]
    fn the_embedded_pair_is_tokenized_once() {
        let prepared = WHOLE.prepare(&"word ".repeat(1200));
        assert_eq!((prepared.lanes.len(), prepared.n_tokens()), (1, 1200));
        assert_eq!(lengths(prepared.sparse().expect("a lane")), [512, 512, 182]);
        assert_eq!(prepared.sparse(), prepared.dense());
    }

    #[test]
    fn the_head_is_what_the_python_builder_sees() {
        let prepared = HEAD.prepare(&"word ".repeat(1200));
        assert_eq!(lengths(prepared.sparse().expect("a lane")), [202]);
        assert_eq!(lengths(prepared.dense().expect("a lane")), [402]);
        let prepared = HEAD.prepare(&"a b ".repeat(1200));
        assert_eq!(lengths(prepared.sparse().expect("a lane")), [256]);
        assert_eq!(lengths(prepared.dense().expect("a lane")), [512]);
    }

    #[test]
    fn an_empty_text_has_no_window() {
        for text in ["", " \n\t ", "\u{0}\u{fffd}"] {
            let prepared = WHOLE.prepare(text);
            assert_eq!(prepared.n_tokens(), 0, "{text:?}");
            assert_eq!(lengths(prepared.sparse().expect("a lane")), [0; 0]);
        }
    }

    #[test]
    fn every_window_has_its_prefix() {
        let change = |model: &mut Model| {
            model.passage_prefix = "this is: ".to_owned();
            model.query_prefix = "what: ".to_owned();
            model.max_len = 15;
        };
        let preparer = preparer(change, Coverage::Whole);
        let prepared = preparer.prepare(&"word ".repeat(12));
        let windows = prepared.dense().expect("a lane");
        let parts: Vec<_> = windows.iter().collect();
        assert_eq!(parts[0].0[..5], [101, 2023, 2003, 1024, 2773]);
        assert_eq!(parts[1], (&[101, 2023, 2003, 1024, 2773, 2773, 102][..], 2));
        assert_eq!((windows.n_tokens, parts.len()), (12, 2));
        let query = preparer.prepare_query("word");
        let first = query.dense().and_then(|w| w.iter().next());
        assert_eq!(first, Some((&[101, 2054, 1024, 2773, 102][..], 1)));
    }

    #[test]
    fn characters_are_capped_at_their_boundaries() {
        let preparer = preparer(|model| model.char_cap = Some(3), Coverage::Head);
        let prepared = preparer.prepare("\u{65e5}\u{672c}\u{8a9e}\u{6f22}");
        assert_eq!(prepared.n_tokens(), 3);
    }

    #[test]
    fn a_model_without_room_for_text_is_refused() {
        let mut model = embedded(EncoderKind::Dense);
        model.max_len = 9;
        let error = TextPreparer::new(None, Some(&model), Coverage::Whole).err();
        assert!(
            matches!(error, Some(EncodeError::ModelBad { .. })),
            "{error:?}"
        );
    }

    /// The last word of a prefix may be one token before one text and many before another.
    #[test]
    fn no_window_is_too_long_whatever_a_text_makes_of_its_prefix() {
        let prefix = "abcdefghijklmnopqrstuvwxy";
        let mut pieces = vec![("<unk>".to_owned(), 0.0), (format!("{prefix}a"), -1.0)];
        pieces.extend(('a'..='z').map(|letter| (letter.to_string(), -5.0)));
        let tokenizer = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false},
        });
        let mut model = embedded(EncoderKind::Dense);
        model.tokenizer = tokenizer.to_string().into_bytes().into();
        model.passage_prefix = prefix.to_owned();
        model.max_len = 12;
        let preparer = TextPreparer::new(None, Some(&model), Coverage::Whole).expect("good");
        for text in ["a", "zzz", "abc"] {
            let prepared = preparer.prepare(text);
            let windows: Vec<_> = prepared.sequences(EncoderKind::Dense).collect();
            assert!(!windows.is_empty(), "{text}");
            assert!(
                windows.iter().all(|ids| ids.len() <= 12),
                "{text}: {windows:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn windows_cover_each_token_once(n in 0_usize..300, max_len in 10_usize..60) {
            let room = max_len - 3;
            let text: Vec<i64> = (0..n as i64).collect();
            let windows = Windows::new(&text, (&[-1, -2], &[-3]), room);
            let mut seen = Vec::new();
            for (ids, n_tokens) in windows.iter() {
                prop_assert!(ids.len() <= max_len && n_tokens > 0);
                prop_assert_eq!(&ids[..2], &[-1, -2]);
                prop_assert_eq!(ids[ids.len() - 1], -3);
                prop_assert_eq!(n_tokens, ids.len() - 3);
                seen.extend_from_slice(&ids[2..ids.len() - 1]);
            }
            prop_assert_eq!(&seen, &text);
            let by_position: Vec<i64> = (0..n).filter_map(|i| windows.text_id(i)).collect();
            prop_assert_eq!(by_position, text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,200}", more in prop::collection::vec(any::<char>(), 0..200)) {
            let text = text + &more.into_iter().collect::<String>();
            for preparer in [&*WHOLE, &*HEAD] {
                let prepared = preparer.prepare(&text);
                let in_windows = prepared.dense().map(|w| w.iter().map(|(_, n)| n).sum::<usize>());
                prop_assert_eq!(in_windows, prepared.dense().map(|w| w.n_tokens));
            }
        }
    }
}
