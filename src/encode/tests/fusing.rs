//! Graphs with fused operators, on the CPU: their vectors are those of the graphs as they were.

use super::devices::assert_close;
use super::fixtures::{check_directory, models};
use super::*;
use crate::encode::onnx::{
    Attribute, Graph, Node, Proto, fuse_attention, fuse_norms, read, split_maximum, write,
};
use crate::profile::encoders::Precision;

/// Graphs of one layer, by several exporters: where the file is.
const LAYERS: [(&str, &str); 6] = [
    ("optimum-mean", "model.onnx"),
    ("optimum-whole", "model.onnx"),
    ("st5-mean", "onnx/model.onnx"),
    ("st5-splade", "onnx/model.onnx"),
    ("st6-last", "model.onnx"),
    ("st6-mean", "model.onnx"),
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir().expect("lists") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).expect("copies")),
        }
    }
}

/// A copy of a model whose graph is edited.
fn edited(name: &str, file: &str, edit: impl FnOnce(&mut Proto)) -> tempfile::TempDir {
    let dir = crate::test_folder::create();
    copy(&models().join(name), dir.path());
    let path = dir.path().join(file);
    let mut proto = read(&path).expect("reads");
    edit(&mut proto);
    let mut bytes = Vec::new();
    write(&proto, &mut bytes).expect("writes");
    fs::write(&path, bytes).expect("writes");
    dir
}

fn count(graph: &Graph, operator: &str) -> usize {
    let nodes = graph.nodes.iter();
    nodes.filter(|node| node.operator == operator).count()
}

#[test]
fn fused_operators_give_the_librarys_vectors() {
    for (name, file) in LAYERS {
        let dir = edited(name, file, |proto| {
            assert_eq!(fuse_attention(proto), 1, "{name}");
            assert_eq!(fuse_norms(proto), 2, "{name}");
            assert_eq!(count(&proto.graph, "Softmax"), 0, "{name}");
            assert_eq!(count(&proto.graph, "MultiHeadAttention"), 1, "{name}");
            assert_eq!(count(&proto.graph, "SkipLayerNormalization"), 2, "{name}");
        });
        check_directory(dir.path(), name);
    }
}

#[test]
fn attention_keeps_its_scale_and_its_mask() {
    let (name, file) = LAYERS[2];
    let proto = read(&models().join(name).join(file)).expect("reads");
    let mut fused = proto.clone();
    fuse_attention(&mut fused);
    let attention = |graph: &Graph| -> Node {
        let mut nodes = graph.nodes.iter();
        let found = nodes.find(|node| node.operator == "MultiHeadAttention");
        found.expect("is fused").clone()
    };
    let node = attention(&fused.graph);
    let heads = node.attribute("num_heads").expect("is stated");
    assert_eq!(heads.as_integers(), [2]);
    let scale = node.attribute("scale").expect("is stated").as_floats();
    assert!((scale[0] - 1.0 / 8_f32.sqrt()).abs() < 1e-6, "{scale:?}");
    assert_eq!(node.inputs.len(), 6);
    // A softmax over another dimension is something else.
    let mut other = proto;
    for node in &mut other.graph.nodes {
        if node.operator == "Softmax" {
            node.attributes = vec![Attribute::integer("axis", 1)];
        }
    }
    assert_eq!(fuse_attention(&mut other), 0);
}

#[test]
fn a_maximum_in_parts_gives_the_same_terms_whatever_the_width() {
    // 233 terms: columns are added for an aligned product.
    let dir = models().join("st5-splade");
    let out = crate::test_folder::create();
    let prepared = out.path().join("prepared");
    let options = PrepareOptions {
        dir: &dir,
        out: &prepared,
        top_k: TOP_K,
        quantize: None,
        ort_lib: None,
    };
    prepare_model(&options).expect("prepares");
    let mut proto = read(&prepared.join("model.onnx")).expect("reads");
    assert!(split_maximum(&mut proto));
    assert_eq!(count(&proto.graph, "Max"), 7);
    assert_eq!(count(&proto.graph, "ReduceMax"), 1);
    let choice = super::models::single_encoder(EncoderKind::Sparse, &prepared, None);
    let mut cpu = Encoders::open(&choice).expect("opens");
    let device = EncoderChoice {
        sparse_device: Device::Cuda(0),
        precision: Precision::Tf32,
        ..choice
    };
    let mut device = Encoders::open_with(&device, simulated::provider_of).expect("opens");
    for text in ["the parser", "a b c. def parse(header):", "words ", "x"] {
        let text = text.repeat(7);
        let found = encode(&mut device, &text);
        assert_close(&found, &encode(&mut cpu, &text));
        assert!(found.sparse.is_some_and(|sparse| !sparse.0.is_empty()));
    }
}
