//! Windows: prefixes, lengths, and that no token is lost.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

fn tokenizer_of(change: impl Fn(&mut Model), coverage: Coverage) -> TextTokenizer {
    let (mut sparse, mut dense) = (
        Model::embedded(EncoderKind::Sparse),
        Model::embedded(EncoderKind::Dense),
    );
    change(&mut sparse);
    change(&mut dense);
    TextTokenizer::new(Some(&sparse), Some(&dense), coverage).expect("a good tokenizer")
}

static WHOLE: LazyLock<TextTokenizer> = LazyLock::new(|| tokenizer_of(|_| (), Coverage::Whole));
static HEAD: LazyLock<TextTokenizer> = LazyLock::new(|| tokenizer_of(|_| (), Coverage::Head));

fn lengths(windows: &Windows) -> Vec<usize> {
    windows.iter().map(|(ids, _)| ids.len()).collect()
}

#[test]
fn the_embedded_pair_is_tokenized_once() {
    let tokenized = WHOLE.tokenize(&"word ".repeat(1200));
    assert_eq!((tokenized.windows.len(), tokenized.n_tokens()), (1, 1200));
    assert_eq!(
        lengths(tokenized.windows(EncoderKind::Sparse).expect("windows")),
        [512, 512, 182]
    );
    assert_eq!(
        tokenized.windows(EncoderKind::Sparse),
        tokenized.windows(EncoderKind::Dense)
    );
}

#[test]
fn the_head_is_what_the_python_builder_sees() {
    let tokenized = HEAD.tokenize(&"word ".repeat(1200));
    assert_eq!(
        lengths(tokenized.windows(EncoderKind::Sparse).expect("windows")),
        [202]
    );
    assert_eq!(
        lengths(tokenized.windows(EncoderKind::Dense).expect("windows")),
        [402]
    );
    let tokenized = HEAD.tokenize(&"a b ".repeat(1200));
    assert_eq!(
        lengths(tokenized.windows(EncoderKind::Sparse).expect("windows")),
        [256]
    );
    assert_eq!(
        lengths(tokenized.windows(EncoderKind::Dense).expect("windows")),
        [512]
    );
}

#[test]
fn an_empty_text_has_no_window() {
    for text in ["", " \n\t ", "\u{0}\u{fffd}"] {
        let tokenized = WHOLE.tokenize(text);
        assert_eq!(tokenized.n_tokens(), 0, "{text:?}");
        assert_eq!(
            lengths(tokenized.windows(EncoderKind::Sparse).expect("windows")),
            [0; 0]
        );
    }
}

#[test]
fn every_window_has_its_prefix() {
    let change = |model: &mut Model| {
        model.passage_prefix = "this is: ".to_owned();
        model.query_prefix = "what: ".to_owned();
        model.max_len = 15;
    };
    let tokenizer = tokenizer_of(change, Coverage::Whole);
    let tokenized = tokenizer.tokenize(&"word ".repeat(12));
    let windows = tokenized.windows(EncoderKind::Dense).expect("windows");
    let parts: Vec<_> = windows.iter().collect();
    assert_eq!(parts[0].0[..5], [101, 2023, 2003, 1024, 2773]);
    assert_eq!(parts[1], (&[101, 2023, 2003, 1024, 2773, 2773, 102][..], 2));
    assert_eq!((windows.n_tokens, parts.len()), (12, 2));
    let query = tokenizer.tokenize_query("word");
    let first = query
        .windows(EncoderKind::Dense)
        .and_then(|w| w.iter().next());
    assert_eq!(first, Some((&[101, 2054, 1024, 2773, 102][..], 1)));
}

#[test]
fn characters_are_capped_at_their_boundaries() {
    let tokenizer = tokenizer_of(|model| model.char_cap = Some(3), Coverage::Head);
    let tokenized = tokenizer.tokenize("\u{65e5}\u{672c}\u{8a9e}\u{6f22}");
    assert_eq!(tokenized.n_tokens(), 3);
}

#[test]
fn a_model_without_room_for_text_is_refused() {
    let mut model = Model::embedded(EncoderKind::Dense);
    model.max_len = 9;
    let error = TextTokenizer::new(None, Some(&model), Coverage::Whole).err();
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
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false},
    });
    let mut model = Model::embedded(EncoderKind::Dense);
    model.tokenizer = json.to_string().into_bytes().into();
    model.passage_prefix = prefix.to_owned();
    model.max_len = 12;
    let tokenizer = TextTokenizer::new(None, Some(&model), Coverage::Whole).expect("good");
    for text in ["a", "zzz", "abc"] {
        let tokenized = tokenizer.tokenize(text);
        let windows: Vec<_> = tokenized.sequences(EncoderKind::Dense).collect();
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
        for tokenizer in [&*WHOLE, &*HEAD] {
            let tokenized = tokenizer.tokenize(&text);
            let in_windows = tokenized.windows(EncoderKind::Dense).map(|w| w.iter().map(|(_, n)| n).sum::<usize>());
            prop_assert_eq!(in_windows, tokenized.windows(EncoderKind::Dense).map(|w| w.n_tokens));
        }
    }
}
