//! Batches on a device that the CPU simulates: shapes, padding and order are those of a device.

use super::preparing::prepare;
use super::*;
use crate::batch::EncoderKind;
use crate::profile::encoders::Precision;

fn on_device(choice: EncoderChoice) -> Encoders {
    let choice = EncoderChoice {
        sparse_device: Device::Cuda(0),
        dense_device: Device::Cuda(0),
        ..choice
    };
    Encoders::open_with(&choice, simulated::provider_of).expect("opens")
}

/// Of every length, one window or several, and one without a word.
fn texts() -> Vec<String> {
    let words = [
        "parse", "the", "header", "of", "gzip", "files", "in", "rust",
    ];
    let text = |n: usize| -> String {
        let nth = |i: usize| words[(i * i + i / 3 + n) % words.len()];
        (0..n).map(|i| format!("{} ", nth(i))).collect()
    };
    let lengths = [0, 1, 5, 62, 63, 100, 190, 300, 509, 510, 511, 700, 1300];
    lengths.into_iter().map(text).collect()
}

fn encode_many(encoders: &mut Encoders, texts: &[String]) -> Vec<Encoded> {
    let tokenizer = encoders.tokenizer();
    let texts: Vec<_> = texts.iter().map(|text| tokenizer.tokenize(text)).collect();
    let texts: Vec<_> = texts.iter().collect();
    encoders.encode_many(&texts, &|_| ()).expect("encodes")
}

/// The same terms, weights within two units of the last decimal, directions within 1e-5.
pub(super) fn assert_close(found: &Encoded, expected: &Encoded) {
    let by_term = |encoded: &Encoded| {
        let vector = encoded.sparse.clone().unwrap_or_default();
        let mut pairs: Vec<_> = vector
            .0
            .into_iter()
            .map(|t| (t.term, t.weight_e4))
            .collect();
        pairs.sort();
        pairs
    };
    let (terms, expected_terms) = (by_term(found), by_term(expected));
    assert_eq!(terms.len(), expected_terms.len());
    for ((term, weight), (expected, expected_weight)) in terms.iter().zip(&expected_terms) {
        assert_eq!(term, expected);
        assert!(weight.abs_diff(*expected_weight) <= 2, "{term}");
    }
    assert_eq!(found.route_words, expected.route_words);
    assert_eq!(found.dense.is_some(), expected.dense.is_some());
    if let (Some(found), Some(expected)) = (&found.dense, &expected.dense) {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(found.0.iter().zip(&expected.0).all(close));
    }
}

#[test]
fn a_device_gives_the_vectors_of_the_cpu() {
    let texts = texts();
    let mut cpu = embedded();
    let mut device = on_device(EncoderChoice::default());
    assert!(device.is_batched() && !cpu.is_batched());
    assert_eq!(device.device_name(), "cuda:0");
    for (found, text) in encode_many(&mut device, &texts).iter().zip(&texts) {
        assert_close(found, &encode(&mut cpu, text));
    }
    let query = |encoders: &mut Encoders| encoders.encode_query("gzip header").expect("encodes");
    assert_close(&query(&mut device), &query(&mut cpu));
}

/// What the encoders gave for several collections is finished on one other thread, whose buffers each of them uses.
#[test]
fn both_halves_make_the_vectors_of_the_whole() {
    let texts = texts();
    let mut device = on_device(EncoderChoice::default());
    let tokenizer = device.tokenizer();
    let texts: Vec<_> = texts.iter().map(|text| tokenizer.tokenize(text)).collect();
    let collections: Vec<Vec<_>> = texts.chunks(4).map(|some| some.iter().collect()).collect();
    let timeless = |mut encoded: Vec<Encoded>| {
        encoded
            .iter_mut()
            .for_each(|text| text.busy = Duration::ZERO);
        encoded
    };
    let expected: Vec<_> = collections
        .iter()
        .map(|texts| timeless(device.encode_many(texts, &|_| ()).expect("encodes")))
        .collect();
    let run = |texts: &Vec<_>| device.run_many(texts, &|_| ()).expect("runs");
    let raw: Vec<_> = collections.iter().map(run).collect();
    let found: Vec<_> = std::thread::scope(|scope| {
        let finish = || {
            let mut space = FinishSpace::default();
            let both = raw.into_iter().zip(&collections);
            both.map(|(raw, texts)| timeless(raw.finish(texts, &mut space)))
                .collect()
        };
        scope.spawn(finish).join().expect("finishes")
    });
    assert_eq!(found, expected);
    assert!(found[0][0].run_tokens > 0);
}

#[test]
fn the_heaviest_terms_of_a_batch_are_those_of_one_text_alone() {
    let dir = Directory::new(Output::Product(onnx::Shape::BiasRight), "");
    let (_, out) = prepare(&dir, TOP_K, None).expect("prepares");
    let choice = models::single_encoder(EncoderKind::Sparse, &out, None);
    let mut cpu = Encoders::open(&choice).expect("opens");
    let mut device = on_device(choice);
    let texts: Vec<_> = ["", "red", "blue . ", "red greenish blue. ", "green blue "]
        .iter()
        // Several windows each.
        .map(|text| text.repeat(9))
        .collect();
    for (found, text) in encode_many(&mut device, &texts).iter().zip(&texts) {
        assert_close(found, &encode(&mut cpu, text));
    }
}

#[test]
fn padding_takes_no_part_in_any_pooling() {
    for (kind, output, toml) in [
        (EncoderKind::Sparse, Output::Logits, ""),
        (EncoderKind::Dense, Output::Hidden, "pooling = \"mean\""),
        (EncoderKind::Dense, Output::Hidden, "pooling = \"cls\""),
    ] {
        let dir = Directory::new(output, toml);
        let texts: Vec<_> = [
            "",
            "red",
            "red greenish blue.",
            "blue . ",
            "red blue green. ",
        ]
        .iter()
        .map(|text| text.repeat(4))
        .collect();
        let mut cpu = dir.open(kind).expect("opens");
        let mut device = on_device(dir.choice(kind));
        for (found, text) in encode_many(&mut device, &texts).iter().zip(&texts) {
            assert_close(found, &encode(&mut cpu, text));
        }
    }
}

#[test]
fn ids_and_masks_may_be_32_bits_wide() {
    for (kind, output, toml) in [
        (EncoderKind::Sparse, Output::Logits, ""),
        (EncoderKind::Sparse, Output::Product(onnx::Shape::Tied), ""),
        (EncoderKind::Dense, Output::Hidden, "pooling = \"mean\""),
    ] {
        let wide = Directory::new(output, toml);
        let mut expected = wide.open(kind).expect("opens");
        let dir = Directory::new(output, toml);
        dir.write_graph(&onnx::narrow(output));
        let texts = ["", "red", "red greenish blue. blue"].map(str::to_owned);
        let mut cpu = dir.open(kind).expect("opens");
        let mut device = on_device(dir.choice(kind));
        for (found, text) in encode_many(&mut device, &texts).iter().zip(&texts) {
            let expected = encode(&mut expected, text);
            assert_close(found, &expected);
            let found = encode(&mut cpu, text);
            assert_eq!(found.sparse, expected.sparse);
            assert_eq!(found.dense, expected.dense);
        }
    }
}

#[test]
fn neighbours_in_a_batch_change_nothing() {
    let texts = texts();
    let mut device = on_device(EncoderChoice::default());
    let mut together = encode_many(&mut device, &texts);
    // Costs are noted at the first.
    let cost = &together[0];
    assert!(cost.padded_tokens >= 8192 && cost.run_tokens < cost.padded_tokens);
    let backwards: Vec<_> = texts.iter().rev().cloned().collect();
    let mut reversed = encode_many(&mut device, &backwards);
    reversed.reverse();
    for (position, text) in texts.iter().enumerate() {
        let mut alone = encode(&mut device, text);
        for encoded in [&mut alone, &mut together[position], &mut reversed[position]] {
            encoded.busy = Duration::ZERO;
            (encoded.run_tokens, encoded.padded_tokens) = (0, 0);
        }
        assert_eq!(alone, together[position], "{text}");
        assert_eq!(alone, reversed[position], "{text}");
    }
}

#[test]
fn a_kind_on_each_device_gives_the_same() {
    let texts = texts();
    let mut cpu = embedded();
    let choice = |cpu_threads| EncoderChoice {
        sparse_device: Device::Cuda(0),
        cpu_threads,
        max_batch: 3,
        ..EncoderChoice::default()
    };
    for threads in [0, 3] {
        let mut apart =
            Encoders::open_with(&choice(threads), simulated::provider_of).expect("opens");
        assert_eq!(apart.device_name(), "sparse cuda:0, dense cpu");
        for (found, text) in encode_many(&mut apart, &texts).iter().zip(&texts) {
            let expected = encode(&mut cpu, text);
            assert_close(found, &expected);
            assert_eq!(
                found.dense, expected.dense,
                "the CPU's own, however many threads"
            );
        }
    }
}

/// A process of its own, since memory is counted by process: the arena keeps what the largest run took, until
/// a run gives it back.
#[cfg(target_os = "linux")]
#[test]
fn a_run_can_give_the_arenas_memory_back() {
    use crate::platform;
    use std::sync::atomic::Ordering;
    const ALONE: &str = "HELIX_BUILD_TEST_ALONE";
    /// 512 rows of 16 tokens, 16 KiB for each: 128 MiB.
    const LEAST_DROP: u64 = 100 << 20;
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().expect("a test runs in a program");
        let output = std::process::Command::new(this)
            .args([
                "--exact",
                "encode::tests::devices::a_run_can_give_the_arenas_memory_back",
            ])
            .env(ALONE, "1")
            .output()
            .expect("runs one test");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let dir = Directory::new(Output::Wide, "");
    let mut device = on_device(dir.choice(EncoderKind::Sparse));
    let releases = Arc::default();
    device.on_release_request(&releases);
    let resident = || platform::resident_memory_bytes().expect("Linux counts it");
    let word = vec!["red".to_owned()];
    encode_many(&mut device, &word);
    let before = resident();
    encode_many(&mut device, &word);
    assert!(resident() + LEAST_DROP > before, "an ordinary run keeps it");
    releases.fetch_add(1, Ordering::Relaxed);
    encode_many(&mut device, &word);
    let after = resident();
    println!("resident: {} MiB, then {} MiB", before >> 20, after >> 20);
    assert!(after + LEAST_DROP < before, "{before} bytes, then {after}");
}

/// Weights that differ by less than a hundredth, and directions by less than that.
fn assert_near(found: &Encoded, expected: &Encoded) {
    let weights = |encoded: &Encoded| -> std::collections::BTreeMap<String, u32> {
        let vector = encoded.sparse.clone().unwrap_or_default();
        vector
            .0
            .into_iter()
            .map(|t| (t.term, t.weight_e4))
            .collect()
    };
    let (found_weights, expected_weights) = (weights(found), weights(expected));
    assert!(found_weights.keys().eq(expected_weights.keys()));
    for (term, weight) in found_weights {
        assert!(weight.abs_diff(expected_weights[&term]) < 100, "{term}");
    }
    let directions = found.dense.iter().zip(&expected.dense);
    for (a, b) in directions.flat_map(|(found, expected)| found.0.iter().zip(&expected.0)) {
        assert!((a - b).abs() < 0.01, "{a} {b}");
    }
    assert_eq!(found.dense.is_some(), expected.dense.is_some());
}

#[test]
fn sixteen_bits_give_nearly_the_vectors_of_thirty_two() {
    for (kind, output, toml) in [
        (EncoderKind::Sparse, Output::Product(onnx::Shape::Tied), ""),
        (EncoderKind::Sparse, Output::Logits, ""),
        (EncoderKind::Dense, Output::Hidden, "pooling = \"mean\""),
        (EncoderKind::Dense, Output::Hidden, "pooling = \"cls\""),
    ] {
        let dir = Directory::new(output, toml);
        let texts = ["", "red", "red greenish blue. blue", "green . blue "].map(str::to_owned);
        let mut cpu = dir.open(kind).expect("opens");
        let mut device = on_device(EncoderChoice {
            precision: Precision::Fp16,
            ..dir.choice(kind)
        });
        for (found, text) in encode_many(&mut device, &texts).iter().zip(&texts) {
            assert_near(found, &encode(&mut cpu, text));
        }
    }
}

#[test]
fn a_prepared_graph_runs_in_sixteen_bits_as_well() {
    let dir = Directory::new(Output::Product(onnx::Shape::BiasRight), "");
    let (_, out) = prepare(&dir, TOP_K, None).expect("prepares");
    let choice = models::single_encoder(EncoderKind::Sparse, &out, None);
    let mut cpu = dir.open(EncoderKind::Sparse).expect("opens");
    let mut device = on_device(EncoderChoice {
        precision: Precision::Fp16,
        ..choice
    });
    for text in ["red", "red greenish blue. blue"] {
        assert_near(&encode(&mut device, text), &encode(&mut cpu, text));
    }
}

#[test]
fn weights_beside_the_graph_are_found_by_an_edited_one() {
    let dir = Directory::new(Output::Hidden, "pooling = \"cls\"");
    let (graph, weights) = onnx::with_external_table();
    fs::write(dir.path().join("onnx/model.onnx"), graph).expect("writes");
    fs::write(dir.path().join("onnx/w.bin"), weights).expect("writes");
    let mut cpu = dir.open(EncoderKind::Dense).expect("opens");
    for precision in [Precision::Fp32, Precision::Fp16] {
        let mut device = on_device(EncoderChoice {
            precision,
            ..dir.choice(EncoderKind::Dense)
        });
        assert_near(
            &encode(&mut device, "red blue"),
            &encode(&mut cpu, "red blue"),
        );
    }
}

#[test]
fn an_operator_without_sixteen_bits_is_named() {
    let dir = Directory::new(Output::Hidden, "pooling = \"cls\"");
    let mut proto = onnx::proto(Output::Hidden);
    proto.graph.nodes[0].operator = "Resize".to_owned();
    dir.write_graph(&proto);
    let choice = EncoderChoice {
        dense_device: Device::Cuda(0),
        precision: Precision::Fp16,
        ..dir.choice(EncoderKind::Dense)
    };
    let error = Encoders::open_with(&choice, simulated::provider_of).err();
    let error = error.expect("is refused").to_string();
    assert!(
        error.contains("Resize") && error.contains("16 bits"),
        "{error}"
    );
}
