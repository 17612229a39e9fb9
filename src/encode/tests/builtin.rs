//! The built-in encoders by their tables, against the ONNX files that define them and against the parsed tokenizer.

use super::*;
use crate::encode::builtin::VOCABULARY;
use crate::encode::dense_encoder::{DenseEncoder, DenseSession};
use crate::encode::model::Model;
use crate::encode::provider::Cpu;
use crate::encode::session::SessionConfig;
use crate::encode::sparse_encoder::{SparseEncoder, SparseSession};
use crate::encode::tokenizer::Tokenizer;
use crate::profile::encoders::Precision;
use proptest::prelude::*;

/// Numbers of a vector may differ by this much: ONNX Runtime adds in another order.
const TOLERANCE: f32 = 1e-6;

/// The built-in models, run by ONNX Runtime.
fn by_runtime() -> Encoders {
    let mut encoders = embedded();
    let environment =
        crate::encode::runtime::environment(None).expect("the built-in runtime loads");
    let tokenizer = Tokenizer::built_in();
    let config = || SessionConfig {
        device: Device::Cpu,
        provider: Arc::new(Cpu),
        arena_bytes: 0,
        max_batch: 0,
        threads: 1,
        precision: Precision::Fp32,
    };
    let sparse = Model::embedded(EncoderKind::Sparse);
    let sparse = SparseSession::open(&environment, &sparse, &tokenizer, config());
    encoders.sparse = Some(SparseEncoder::Session(Box::new(sparse.expect("opens"))));
    let dense = Model::embedded(EncoderKind::Dense);
    let dense = DenseSession::open(&environment, &dense, &tokenizer, config());
    encoders.dense = Some(DenseEncoder::Session(Box::new(dense.expect("opens"))));
    encoders
}

fn assert_equal(ours: &Encoded, theirs: &Encoded, text: &str) {
    assert_eq!(ours.sparse, theirs.sparse, "{text:?}");
    assert_eq!(ours.route_words, theirs.route_words, "{text:?}");
    match (&ours.dense, &theirs.dense) {
        (Some(ours), Some(theirs)) => {
            assert_eq!(ours.0.len(), theirs.0.len());
            for (ours, theirs) in ours.0.iter().zip(&theirs.0) {
                assert!(
                    (ours - theirs).abs() <= TOLERANCE,
                    "{ours} {theirs} {text:?}"
                );
            }
        }
        (ours, theirs) => assert_eq!(ours, theirs, "{text:?}"),
    }
}

#[test]
fn tables_give_the_vectors_of_the_onnx_files() {
    let (mut ours, mut theirs) = (embedded(), by_runtime());
    assert!(
        ours.session(EncoderKind::Sparse).is_none() && ours.session(EncoderKind::Dense).is_none()
    );
    // Our own sources in pieces of several sizes, one of many windows among them.
    let source = include_str!("../open.rs");
    let texts = [1, 40, 300, 2_000, 9_000].into_iter().flat_map(|size| {
        let characters: Vec<char> = source.chars().collect();
        let pieces = characters
            .chunks(size)
            .map(|piece| piece.iter().collect::<String>());
        pieces.take(12).collect::<Vec<_>>()
    });
    let special = [
        String::new(),
        "[MASK] [SEP] [UNK]".to_owned(),
        "\u{65e5}\u{672c}\u{8a9e} caf\u{e9} \u{fffd}".to_owned(),
        "same ".repeat(2_000),
        "x".repeat(200),
    ];
    for text in texts.chain(special) {
        let (ours, theirs) = (encode(&mut ours, &text), encode(&mut theirs, &text));
        assert_equal(&ours, &theirs, &text);
    }
    for query in ["parse a header", "retry", "\u{130}stanbul", ""] {
        let ours = ours.encode_query(query).expect("encodes");
        let theirs = theirs.encode_query(query).expect("encodes");
        assert_equal(&ours, &theirs, query);
    }
}

#[test]
fn the_compiled_vocabulary_is_the_tokenizers() {
    let bytes = include_bytes!("../../../assets/models/tokenizer.json");
    let parsed = Tokenizer::from_bytes(bytes).expect("parses");
    let built_in = Tokenizer::built_in();
    assert_eq!(VOCABULARY.len(), parsed.vocabulary_len());
    for (id, term) in parsed.vocabulary().iter().enumerate() {
        // Special tokens are empty there.
        if !term.is_empty() {
            assert_eq!(VOCABULARY.term(id), term);
        }
        let own = VOCABULARY.term(id);
        assert_eq!(VOCABULARY.id(own.as_bytes()), Some(id as u32));
    }
    assert_eq!(VOCABULARY.id(b"no such term"), None);
    assert_eq!(built_in.vocabulary(), parsed.vocabulary());
    let around = |t: &Tokenizer| (t.lead.clone(), t.tail.clone(), t.pad);
    assert_eq!(around(&built_in), around(&parsed));
    assert!(built_in.has_fast_path_of(&parsed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_has_the_same_tokens(text in "([ -~]{0,30}|\\PC{0,10}|\\[MASK\\]| |\n){0,12}") {
        let bytes = include_bytes!("../../../assets/models/tokenizer.json");
        static PARSED: std::sync::OnceLock<Tokenizer> = std::sync::OnceLock::new();
        let parsed = PARSED.get_or_init(|| Tokenizer::from_bytes(bytes).expect("parses"));
        static BUILT_IN: std::sync::OnceLock<Tokenizer> = std::sync::OnceLock::new();
        let ours = BUILT_IN.get_or_init(Tokenizer::built_in).encode(&text).expect("encodes");
        let theirs = parsed.encode(&text).expect("encodes");
        prop_assert_eq!(ours.ids, theirs.ids);
        prop_assert_eq!(ours.words, theirs.words);
    }
}
