//! The fast path against the crate, and prefixes.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

static BERT: LazyLock<Tokenizer> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../assets/models/tokenizer.json");
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
fn the_fast_path_is_taken_and_agrees() {
    assert!(BERT.fast_path.is_some());
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
fn a_space_after_a_prefix_belongs_to_the_text() {
    let text = "hello world: abc";
    let (prefix, pieces) = SPACED.encode_after("query: ", text).expect("encodes");
    let vocabulary = SPACED.vocabulary();
    let spelled = |ids: &[i64]| -> Vec<String> {
        let ids = ids.iter();
        ids.map(|id| vocabulary[*id as usize].replace('\u{2581}', "_"))
            .collect()
    };
    assert_eq!(spelled(&prefix), ["_query", ":"]);
    let expected = ["_he", "llo", "_world", ":", "_", "a", "b", "c"];
    assert_eq!(spelled(&pieces.ids), expected);
    assert!(!SPACED.is_separable("query: ") && SPACED.is_separable(""));
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
            let (mut ids, pieces) = tokenizer.encode_after(prefix, &text).expect("encodes");
            for word in &pieces.words {
                prop_assert!(text.get(word.text.start as usize..word.text.end as usize).is_some());
                prop_assert!((word.pieces.end as usize) <= pieces.ids.len());
            }
            if tokenizer.is_separable(prefix) {
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

#[test]
fn byte_level_terms_are_judged_by_the_text_that_they_spell() {
    let terms = [
        "a",
        "\u{120}",
        "\u{120}a",
        "\u{120}!",
        "\u{10a}",
        "\u{10a}\u{109}",
        "red",
        "\u{120}red",
        "\u{e9}",
    ];
    let vocabulary: serde_json::Map<_, _> = terms
        .iter()
        .zip(0..)
        .map(|(term, id)| ((*term).to_owned(), id.into()))
        .collect();
    let rules = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": rules, "post_processor": null, "decoder": rules,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    let tokenizer = Tokenizer::from_bytes(file.to_string().as_bytes()).expect("loads");
    let vocabulary = tokenizer.vocabulary();
    let kept = tokenizer.meaningful(&vocabulary);
    let kept: Vec<&str> = vocabulary
        .iter()
        .zip(kept)
        .filter_map(|(term, kept)| kept.then_some(&**term))
        .collect();
    assert_eq!(kept, ["red", "\u{120}red"]);
}
