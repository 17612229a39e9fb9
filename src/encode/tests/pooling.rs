//! Vectors of small models: what a graph gives out is pooled as the directory says.

use super::*;
use crate::batch::EncoderKind;

#[test]
fn a_sparse_directory_pools_its_logits() {
    let dir = Directory::new(Output::Logits, "");
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    let encoded = encode(&mut encoders, "Greenish blue.");
    // Row t of the table is t at t, and 0.5 at the next; ln(1 + 6), ln(1 + 5), ln(1 + 4).
    let terms = encoded.sparse.expect("a sparse encoder").0;
    let terms: Vec<(&str, u32)> = terms
        .iter()
        .map(|t| (t.term.as_str(), t.weight_e4))
        .collect();
    assert_eq!(
        terms,
        [
            ("##ish", 19_459),
            ("blue", 17_918),
            ("green", 16_094),
            ("red", 4_055)
        ]
    );
    assert_eq!(encoded.route_words, ["greenish", "blue"]);
}

#[test]
fn windows_of_logits_are_pooled_like_one() {
    let dir = Directory::new(Output::Logits, "");
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    let once = encode(&mut encoders, "red blue").sparse;
    let often = encode(&mut encoders, &"red blue ".repeat(40)).sparse;
    assert_eq!(once, often);
}

#[test]
fn a_dense_directory_pools_as_it_says() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let vector = |dir: &Directory, text: &str| {
        let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
        encode(&mut encoders, text).dense.expect("a direction").0
    };
    // Row t of the table is [t, 1, t * t]; the tokens are 1, 3, 2.
    let close = |found: Vec<f32>, expected: Vec<f32>| {
        let n = expected.len();
        let expected = DenseVector::normalized(expected, n).expect("a direction").0;
        assert_eq!(found.len(), n);
        assert!(
            found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{found:?}"
        );
    };
    close(vector(&dir, "red"), vec![2.0, 1.0, 14.0 / 3.0]);
    dir.write("helix-model.toml", "pooling = \"cls\"\ndim = 2");
    close(vector(&dir, "red"), vec![1.0, 1.0]);
    dir.write(
        "helix-model.toml",
        "pooling = \"mean\"\npassage_prefix = \"blue \"",
    );
    close(vector(&dir, "red"), vec![11.0 / 4.0, 1.0, 39.0 / 4.0]);

    // The exporter's own files say it as well.
    let dir = Directory::new(Output::Hidden, "");
    let error = dir.open(EncoderKind::Dense).err();
    assert!(
        matches!(error, Some(EncodeError::ModelBad { .. })),
        "{error:?}"
    );
    fs::create_dir(dir.path().join("1_Pooling")).expect("makes a directory");
    dir.write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_mean_tokens": true}"#,
    );
    close(vector(&dir, "red"), vec![2.0, 1.0, 14.0 / 3.0]);
}

#[test]
fn a_graph_may_pool_itself() {
    let dir = Directory::new(Output::Sentence, "");
    let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
    let vector = encode(&mut encoders, "red").dense.expect("a direction").0;
    let expected = DenseVector::normalized(vec![2.0, 1.0, 14.0 / 3.0], 3)
        .expect("a direction")
        .0;
    assert!(
        vector
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-6),
        "{vector:?}"
    );
}

#[test]
fn the_pooling_of_a_sparse_encoder_is_the_usual_one_or_refused() {
    for folder in ["1_SpladePooling", "document_1_SpladePooling"] {
        let dir = Directory::new(Output::Logits, "");
        fs::create_dir(dir.path().join(folder)).expect("makes a directory");
        let config = |text| dir.write(&format!("{folder}/config.json"), text);
        config(r#"{"pooling_strategy": "max", "activation_function": "relu"}"#);
        assert!(describe(&dir.choice(EncoderKind::Sparse)).is_ok());
        let error = describe(&dir.choice(EncoderKind::Dense)).err();
        assert!(
            matches!(error, Some(EncodeError::WrongKind { .. })),
            "{error:?}"
        );
        for other in [
            r#"{"pooling_strategy": "sum"}"#,
            r#"{"pooling_strategy": "sum", "activation_function": "log1p_relu"}"#,
            r#"{"activation_function": "gelu"}"#,
        ] {
            config(other);
            let said = describe(&dir.choice(EncoderKind::Sparse))
                .expect_err("is refused")
                .to_string();
            assert!(said.contains(folder) && said.contains("pooling"), "{said}");
        }
    }
}

/// OpenSearch's third generation: ln(1 + ln(1 + relu(x))), unless the graph pools.
#[test]
fn the_logarithm_is_taken_twice_where_the_files_say_so() {
    let log1p = r#"{"pooling_strategy": "max", "activation_function": "log1p_relu"}"#;
    let weights = |output, config: &str, toml: &str| {
        let dir = Directory::new(output, toml);
        fs::create_dir(dir.path().join("document_1_SpladePooling")).expect("makes a directory");
        dir.write("document_1_SpladePooling/config.json", config);
        let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
        let sparse = encode(&mut encoders, "red")
            .sparse
            .expect("a sparse vector");
        let described = describe(&dir.choice(EncoderKind::Sparse)).expect("describes");
        let hash = described.sparse.expect("a sparse encoder").hash;
        let units: Vec<u32> = sparse.0.iter().map(|term| term.weight_e4).collect();
        (units, hash)
    };
    let (once, hash_once) = weights(Output::Logits, "{}", "");
    let (twice, hash_twice) = weights(Output::Logits, log1p, "");
    let again = |unit: &u32| (f64::from(*unit) / 1e4).ln_1p() * 1e4;
    assert!(!once.is_empty() && once.len() == twice.len());
    for (once, twice) in once.iter().zip(&twice) {
        assert!(
            (again(once) - f64::from(*twice)).abs() < 1.5,
            "{once} {twice}"
        );
    }
    assert_ne!(
        hash_once, hash_twice,
        "vectors of one are of no use for the other"
    );
    let stated = weights(Output::Logits, "{}", "pooling = \"splade-log1p\"").0;
    assert_eq!(stated, twice);
    let overridden = weights(Output::Logits, log1p, "pooling = \"splade\"").0;
    assert_eq!(overridden, once);
    let pooled = |config| weights(Output::Heaviest, config, "").0;
    assert_eq!(pooled(log1p), pooled("{}"));
}

#[test]
fn the_heaviest_terms_alone_are_a_vector_too() {
    let pooled = Directory::new(Output::Logits, "");
    let cut = Directory::new(Output::Heaviest, "");
    let terms = |dir: &Directory, text: &str| {
        let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
        // Once more, on what an earlier text left.
        encode(&mut encoders, "blue");
        encode(&mut encoders, text)
            .sparse
            .expect("a sparse encoder")
            .0
    };
    for text in ["red", "Greenish red", &"red blue ".repeat(40)] {
        let (all, heaviest) = (terms(&pooled, text), terms(&cut, text));
        assert!(!heaviest.is_empty() && heaviest.len() <= all.len());
        for (one, other) in heaviest.iter().zip(&all) {
            assert_eq!(one.term, other.term, "{text}");
            // 16 bits: 11 of them for 1.9.
            assert!(one.weight_e4.abs_diff(other.weight_e4) < 10, "{text}");
        }
    }
    let error = Directory::new(Output::Shifted, "")
        .open(EncoderKind::Sparse)
        .err();
    let said = error.expect("is refused").to_string();
    assert!(
        said.contains("term 8") && said.contains("tokenizer.json"),
        "{said}"
    );
}

#[test]
fn numbers_of_16_bits_are_widened() {
    let vector = |output| {
        let dir = Directory::new(output, "pooling = \"mean\"");
        let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
        encode(&mut encoders, "red green").dense
    };
    // Small integers are exact in 16 bits.
    assert_eq!(vector(Output::Half), vector(Output::Hidden));
}
