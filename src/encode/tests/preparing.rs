//! Models made of models: the same vectors, from a graph that pools, cuts, or counts in bytes.

use super::onnx::{Output, Shape, encoded, narrow, quantizable};
use super::*;
use crate::batch::EncoderKind;
use crate::profile::encoders::Precision;

const TEXTS: [&str; 5] = [
    "red",
    "Greenish blue.",
    ". . .",
    "green red blue red green red blueish reddish redish",
    "nothing known",
];

pub(super) fn prepare(
    dir: &Directory,
    top_k: usize,
    quantize: Option<Quantization>,
) -> Result<(PreparedModel, PathBuf), EncodeError> {
    let out = dir.path().join("made/of/it");
    let order = PrepareOptions {
        dir: dir.path(),
        out: &out,
        top_k,
        quantize,
        ort_lib: None,
    };
    prepare_model(&order).map(|made| (made, out))
}

fn open_sparse(dir: &Path, device: Device) -> Result<Encoders, EncodeError> {
    let choice = EncoderChoice {
        sparse: ModelSource::Directory(dir.to_owned()),
        sparse_device: device,
        dense: ModelSource::None,
        ..EncoderChoice::default()
    };
    Encoders::open_with(&choice, simulated::provider_of)
}

fn vectors(encoders: &mut Encoders) -> Vec<Option<SparseVector>> {
    TEXTS.map(|text| encode(encoders, text).sparse).to_vec()
}

#[test]
fn a_folded_graph_gives_the_same_terms() {
    for (shape, place) in [
        (Shape::BiasRight, "product"),
        (Shape::Tied, "product"),
        (Shape::NoBias, "product"),
        (Shape::Unknown, "logits"),
    ] {
        for pooling in ["splade", "splade-log1p"] {
            let stated = format!("licence = \"MIT\"\npooling = \"{pooling}\"");
            let dir = Directory::new(Output::Product(shape), &stated);
            let (made, out) = prepare(&dir, TOP_K, None).expect("prepares");
            assert_eq!((made.folded, made.similarity), (Some(place), 1.0));
            let known = vectors(&mut open_sparse(dir.path(), Device::Cpu).expect("opens"));
            let mut folded = open_sparse(&out, Device::Cpu).expect("opens");
            assert_eq!(vectors(&mut folded), known, "{place}");
            let report = check_model(&out, None).expect("is sound");
            assert_eq!(
                (report.pooling, report.licence.as_deref()),
                ("none", Some("MIT"))
            );
            assert_eq!(report.sha256, Some(made.sha256));
        }
    }
}

/// Rows of padding would give `blue` the weight ln(1 + 9).
#[test]
fn padding_does_not_reach_the_maximum() {
    for (shape, is_narrow) in [
        (Shape::BiasRight, false),
        (Shape::BiasRight, true),
        (Shape::Unknown, false),
    ] {
        let dir = Directory::new(Output::Product(shape), "");
        if is_narrow {
            dir.write_graph(&narrow(Output::Product(shape)));
        }
        let (_, out) = prepare(&dir, TOP_K, None).expect("prepares");
        let mut alone = open_sparse(&out, Device::Cpu).expect("opens");
        let mut together = open_sparse(&out, Device::Cuda(0)).expect("opens");
        assert!(together.is_batched());
        let tokenizer = together.tokenizer();
        let prepared: Vec<_> = TEXTS.iter().map(|text| tokenizer.tokenize(text)).collect();
        let many = together.encode_many(&prepared.iter().collect::<Vec<_>>(), &|_| ());
        let many = many.expect("encodes").into_iter().map(|e| e.sparse);
        assert!(many.eq(vectors(&mut alone)));
    }
}

#[test]
fn terms_that_are_never_kept_take_no_place_in_the_cut() {
    let dir = Directory::new(Output::Product(Shape::Tied), "");
    let (_, out) = prepare(&dir, 2, None).expect("prepares");
    // The heaviest by far is the full stop.
    let found = encode(
        &mut open_sparse(&out, Device::Cpu).expect("opens"),
        "red blue .",
    )
    .sparse;
    let terms: Vec<_> = found
        .expect("sparse")
        .0
        .into_iter()
        .map(|t| t.term)
        .collect();
    assert_eq!(terms, ["blue", "red"]);
}

#[test]
fn a_pooled_graph_is_cut_and_a_cut_one_left_alone() {
    let dir = Directory::new(Output::Product(Shape::Tied), "");
    let (_, out) = prepare(&dir, TOP_K, None).expect("prepares");
    let again = PrepareOptions {
        dir: &out,
        out: &dir.path().join("again"),
        top_k: TOP_K,
        quantize: None,
        ort_lib: None,
    };
    let said = prepare_model(&again).expect_err("is refused").to_string();
    assert!(said.contains("nothing to fold"), "{said}");
    let dense = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let said = prepare(&dense, TOP_K, None)
        .expect_err("is refused")
        .to_string();
    assert!(said.contains("--quantize int8"), "{said}");
    let said = prepare(&dense, TOP_K, Some(Quantization::Int8))
        .expect_err("is refused")
        .to_string();
    assert!(said.contains("no product"), "{said}");
}

#[test]
fn graphs_that_are_too_old_are_refused() {
    let mut old = onnx::proto(Output::Product(Shape::Tied));
    old.opsets.insert(String::new(), 10);
    let dir = Directory::new(Output::Hidden, "kind = \"sparse\"");
    dir.write_graph(&old);
    for quantize in [None, Some(Quantization::Int8)] {
        let said = prepare(&dir, TOP_K, quantize)
            .expect_err("is refused")
            .to_string();
        assert!(said.contains("operator set 10"), "{said}");
    }
}

#[test]
fn nothing_is_written_over_or_left_behind() {
    let dir = Directory::new(Output::Product(Shape::Tied), "");
    let taken = dir.path().join("made/of/it");
    fs::create_dir_all(&taken).expect("makes a directory");
    let error = prepare(&dir, TOP_K, None).err();
    assert!(
        matches!(error, Some(EncodeError::Unwritten { .. })),
        "{error:?}"
    );
    fs::remove_dir(&taken).expect("removes");
    let dense = Directory::new(Output::Hidden, "pooling = \"mean\"");
    assert!(prepare(&dense, TOP_K, Some(Quantization::Int8)).is_err());
    assert!(!dense.path().join("made").exists());
    prepare(&dir, TOP_K, None).expect("prepares");
    let names = |dir: &Path| {
        let names = fs::read_dir(dir).expect("lists").flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&dir.path().join("made/of")), ["it"]);
    assert_eq!(
        names(&taken),
        ["helix-model.toml", "model.onnx", "tokenizer.json"]
    );
}

#[test]
fn weights_in_bytes_are_near_those_in_floats_and_never_batched() {
    let dir = Directory::new(Output::Hidden, "");
    dir.write_graph(&quantizable(8192));
    dir.write("config.json", "{}");
    let (made, out) = prepare(&dir, TOP_K, Some(Quantization::Int8)).expect("prepares");
    assert_eq!((made.products, made.tables), (2, 1));
    assert!(made.similarity > 0.98, "{}", made.similarity);
    // A matrix both looked up and multiplied is there twice, in a quarter of the bytes each.
    assert!(made.bytes_after * 100 < made.bytes_before * 55, "{made:?}");
    let mut once = open_sparse(&out, Device::Cpu).expect("opens");
    let mut twice = open_sparse(&out, Device::Cpu).expect("opens");
    assert_eq!(vectors(&mut once), vectors(&mut twice));
    let said = open_sparse(&out, Device::Cuda(0))
        .err()
        .expect("is refused")
        .to_string();
    assert!(said.contains("--device cpu"), "{said}");
    // The graph says so as well.
    fs::write(out.join("helix-model.toml"), "").expect("writes");
    let said = open_sparse(&out, Device::Cuda(0))
        .err()
        .expect("is refused")
        .to_string();
    assert!(said.contains("one text at a time"), "{said}");
}

#[test]
fn what_is_not_understood_is_kept() {
    use crate::encode::onnx::{Field, Value, read};
    let mut proto = onnx::proto(Output::Product(Shape::Tied));
    let field = |number| Field {
        number,
        value: Value::Bytes(vec![8, 1]),
    };
    proto.rest.push(field(14));
    proto.graph.rest.push(field(10));
    proto.graph.nodes[0].rest.push(field(6));
    proto.graph.tensors[0].rest.push(field(12));
    proto
        .graph
        .tensors
        .push(crate::encode::onnx::Tensor::floats(
            "large",
            &[40, 50],
            &[0.5; 2000],
        ));
    let bytes = encoded(&proto);
    let dir = Directory::new(Output::Hidden, "");
    let path = dir.path().join("model.onnx");
    fs::write(&path, &bytes).expect("writes");
    let again = read(&path).expect("reads");
    assert_eq!(again.graph.nodes, proto.graph.nodes);
    assert_eq!(again.graph.tensors[..3], proto.graph.tensors[..3]);
    assert_eq!(encoded(&again), bytes);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(400))]

    /// Whatever a file says, it is read or refused, edited or refused; never is there a panic.
    #[test]
    fn damaged_graphs_are_refused_or_edited(
        changes in proptest::collection::vec((0_usize..4000, proptest::num::u8::ANY), 1..6),
        tied in proptest::bool::ANY,
    ) {
        use crate::encode::onnx::{Fold, Form, fold, fuse_attention, fuse_norms, quantize, read, split_maximum};
        let shape = if tied { Shape::Tied } else { Shape::Unknown };
        let mut bytes = onnx::graph(Output::Product(shape));
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &bytes).expect("writes");
        let _ = crate::encode::graph_file::read(EncoderKind::Sparse, file.path());
        if let Ok(mut proto) = read(file.path()) {
            let order = Fold { output: "logits", form: Form::Logits { logarithms: 1 }, kept: &[true; 8], top_k: 4 };
            let _ = fold(&mut proto, &order);
            let _ = (split_maximum(&mut proto), fuse_norms(&mut proto), fuse_attention(&mut proto));
            let _ = quantize(&mut proto);
        }
    }
}

#[test]
fn weights_in_sixteen_bits_take_half_the_space_and_batch() {
    let dir = Directory::new(Output::Product(Shape::Tied), "");
    dir.write_graph(&quantizable(1024));
    let (made, out) = prepare(&dir, TOP_K, Some(Quantization::Fp16)).expect("prepares");
    assert!(made.bytes_after * 10 < made.bytes_before * 6, "{made:?}");
    assert!(made.similarity > 0.999, "{made:?}");
    let mut device = open_sparse(&out, Device::Cuda(0)).expect("opens");
    assert!(device.is_batched());
    let expected = encode(&mut device, "red blue").sparse;
    assert!(expected.is_some());
    // Asking for what it is anyway changes nothing.
    let choice = EncoderChoice {
        sparse_device: Device::Cuda(0),
        precision: Precision::Fp16,
        ..super::models::single_encoder(EncoderKind::Sparse, &out, None)
    };
    let mut asked = Encoders::open_with(&choice, simulated::provider_of).expect("opens");
    assert_eq!(encode(&mut asked, "red blue").sparse, expected);
    let again = Directory(crate::test_folder::create());
    let order = PrepareOptions {
        dir: &out,
        out: &again.path().join("again"),
        top_k: TOP_K,
        quantize: Some(Quantization::Fp16),
        ort_lib: None,
    };
    let error = prepare_model(&order)
        .expect_err("it has no 32-bit weights")
        .to_string();
    assert!(error.contains("16 bits"), "{error}");
}

#[test]
fn a_graph_in_sixteen_bits_is_folded_too() {
    let dir = Directory::new(Output::HalfLogits, "");
    let expected = vectors(&mut dir.open(EncoderKind::Sparse).expect("opens"));
    let (_, out) = prepare(&dir, TOP_K, None).expect("prepares");
    let found = vectors(&mut open_sparse(&out, Device::Cpu).expect("opens"));
    assert_eq!(found, expected);
}
