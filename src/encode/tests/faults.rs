//! Graphs that run and whose vectors are of no use.

use super::super::onnx::{Element, Node, Proto, Tensor};
use super::*;
use crate::batch::EncoderKind;
use crate::encode::check_model;

/// [`Output`]'s graph with `nodes` between the rows of its table and what it gives out.
fn with(output: Output, name: &str, nodes: &dyn Fn(&str) -> Vec<Node>) -> Proto {
    let mut proto = onnx::proto(output);
    proto
        .graph
        .tensors
        .push(Tensor::floats("zero", &[1], &[0.0]));
    proto
        .graph
        .tensors
        .push(Tensor::floats("one", &[1], &[1.0]));
    proto.graph.nodes = vec![Node::new("Gather", &["table", "input_ids"], &["rows"])];
    proto.graph.nodes.extend(nodes(name));
    proto
}

fn directory(kind: EncoderKind, nodes: &dyn Fn(&str) -> Vec<Node>) -> Directory {
    let (output, toml, name) = match kind {
        EncoderKind::Sparse => (Output::Logits, "", "logits"),
        EncoderKind::Dense => (Output::Hidden, "pooling = \"mean\"", "last_hidden_state"),
    };
    let dir = Directory::new(output, toml);
    dir.write_graph(&with(output, name, nodes));
    dir
}

#[test]
fn a_graph_that_draws_random_numbers_is_refused() {
    for kind in [EncoderKind::Sparse, EncoderKind::Dense] {
        let dir = directory(kind, &|name| {
            vec![
                Node::new("RandomNormalLike", &["rows"], &["noise"]),
                Node::new("Add", &["rows", "noise"], &[name]),
            ]
        });
        let error = dir.open(kind).err().expect("refused").to_string();
        assert!(error.contains("random numbers"), "{error}");
    }
}

#[test]
fn vectors_that_say_nothing_are_a_fault() {
    let zeros = |name: &str| vec![Node::new("Mul", &["rows", "zero"], &[name])];
    let ones = |name: &str| {
        vec![
            Node::new("Mul", &["rows", "zero"], &["zeros"]),
            Node::new("Add", &["zeros", "one"], &[name]),
        ]
    };
    type Nodes<'a> = &'a dyn Fn(&str) -> Vec<Node>;
    let table: [(EncoderKind, Nodes<'_>, &str); 4] = [
        (EncoderKind::Dense, &zeros, "a vector of zeros"),
        (EncoderKind::Dense, &ones, "the same vector"),
        (EncoderKind::Sparse, &zeros, "no term"),
        (EncoderKind::Sparse, &ones, "the same terms"),
    ];
    for (kind, nodes, words) in table {
        let dir = directory(kind, nodes);
        let faults: Vec<String> = {
            let opened = dir.open(kind).expect("it can be used");
            opened.warnings().iter().map(ToString::to_string).collect()
        };
        assert!(faults.len() == 1 && faults[0].contains(words), "{faults:?}");
        let error = check_model(dir.path(), None)
            .expect_err("a fault")
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let sound = directory(EncoderKind::Dense, &|name| {
        vec![Node::new("Add", &["rows", "one"], &[name])]
    });
    assert!(
        sound
            .open(EncoderKind::Dense)
            .expect("opens")
            .warnings()
            .is_empty()
    );
}

#[test]
fn what_the_runtime_says_has_no_address_in_it() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    let mut proto = onnx::proto(Output::Hidden);
    for input in &mut proto.graph.inputs {
        *input = super::super::onnx::ValueInfo::tensor(
            &input.name,
            Element::INT64,
            &[Some(1), Some(32)],
        );
    }
    dir.write_graph(&proto);
    let error = dir
        .open(EncoderKind::Dense)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("[1, 32]") && error.contains("dynamic axes"),
        "{error}"
    );
    // Two rows that cannot be added: the runtime says so.
    let broken = directory(EncoderKind::Dense, &|name| {
        vec![
            Node::new("Concat", &["rows", "rows"], &["twice"])
                .with(super::super::onnx::Attribute::integer("axis", 1)),
            Node::new("Add", &["twice", "rows"], &[name]),
        ]
    });
    let error = broken
        .open(EncoderKind::Dense)
        .err()
        .expect("refused")
        .to_string();
    for debug in ["ptr:", "0x", "Error {", "\u{1b}", "\n"] {
        assert!(!error.contains(debug), "{error}");
    }
}

#[test]
fn a_file_in_place_of_a_directory_is_named_as_one() {
    let dir = Directory::new(Output::Hidden, "");
    let graph = dir.path().join("onnx/model.onnx");
    let error = check_model(&graph, None).expect_err("refused").to_string();
    assert!(
        error.contains("it is a file; name the directory"),
        "{error}"
    );
}

#[test]
fn a_length_that_no_encoder_reads_is_refused() {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"\nmax_len = 1000000000");
    dir.write("config.json", r#"{"hidden_size": 3}"#);
    let error = dir
        .open(EncoderKind::Dense)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("max_len = 1000000000") && error.contains("131072"),
        "{error}"
    );
    dir.write("helix-model.toml", "pooling = \"mean\"");
    dir.write(
        "sentence_bert_config.json",
        r#"{"max_seq_length": 1000000000}"#,
    );
    let model = check_model(dir.path(), None).expect("opens");
    assert_eq!(model.max_len, 131_072);
}

#[test]
fn a_windows_path_in_double_quotes_is_explained() {
    let dir = Directory::new(Output::Hidden, "file = \"C:\\Users\\me\\m.onnx\"");
    let error = dir
        .open(EncoderKind::Dense)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("single quotes") && error.contains("helix-model.toml:1"),
        "{error}"
    );
}
