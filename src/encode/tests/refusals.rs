//! Models and texts that are refused, and what is said of them.

use super::*;
use crate::batch::EncoderKind;

#[test]
fn the_other_kind_is_named() {
    for (output, wanted) in [
        (Output::Hidden, EncoderKind::Sparse),
        (Output::Sentence, EncoderKind::Sparse),
        (Output::Logits, EncoderKind::Dense),
    ] {
        let error = Directory::new(output, "").open(wanted).err();
        assert!(
            matches!(error, Some(EncodeError::WrongKind { .. })),
            "{error:?}"
        );
    }
    let dir = Directory::new(Output::Hidden, "kind = \"dense\"\npooling = \"mean\"");
    let error = describe(&dir.choice(EncoderKind::Sparse)).err();
    assert!(
        matches!(error, Some(EncodeError::WrongKind { .. })),
        "{error:?}"
    );
}

#[test]
fn numbers_that_are_not_finite_are_an_error() {
    let dir = Directory::new(Output::NotFinite, "pooling = \"mean\"");
    let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
    let prepared = encoders.tokenizer().tokenize("red");
    let error = encoders.encode(&prepared).err();
    assert!(
        matches!(error, Some(EncodeError::BadOutput { n_tokens: 1, .. })),
        "{error:?}"
    );
}

#[test]
fn a_model_that_fails_on_an_ordinary_text_is_refused_at_once() {
    let dir = Directory::new(Output::Damaged, "pooling = \"mean\"");
    let error = dir.open(EncoderKind::Dense).err();
    let Some(EncodeError::ModelBad { name, reason, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(!name.is_empty());
    assert!(reason.contains("not finite"), "{reason}");
}

#[test]
fn a_text_that_a_tokenizer_refuses_is_an_error_and_others_are_not() {
    let dir = Directory::new(Output::Logits, "");
    let tokenizer = fs::read_to_string(dir.path().join("tokenizer.json")).expect("reads");
    let without_unknown = tokenizer
        .replace("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"none\"")
        .replace("\".\": 7", "\"a\": 7");
    dir.write("tokenizer.json", &without_unknown);
    let mut encoders = dir.open(EncoderKind::Sparse).expect("opens");
    let tokenizer = encoders.tokenizer();
    assert!(encoders.encode(&tokenizer.tokenize("red")).is_ok());
    let error = encoders.encode(&tokenizer.tokenize("yellow")).err();
    assert!(
        matches!(error, Some(EncodeError::TextRefused { .. })),
        "{error:?}"
    );
}

#[test]
fn broken_directories_say_what_is_wrong() {
    let open = |break_it: &dyn Fn(&Directory)| {
        let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
        break_it(&dir);
        dir.open(EncoderKind::Dense).err().expect("refuses")
    };
    let remove = |file: &'static str| {
        move |dir: &Directory| fs::remove_file(dir.path().join(file)).expect("removes")
    };
    let missing = open(&remove("onnx/model.onnx"));
    assert!(
        matches!(&missing, EncodeError::ModelMissing { path, .. } if path.ends_with("model.onnx"))
    );
    let missing = open(&remove("tokenizer.json"));
    assert!(
        matches!(&missing, EncodeError::ModelMissing { path, .. } if path.ends_with("tokenizer.json"))
    );
    let bad = open(&|dir| dir.write("tokenizer.json", "{}"));
    assert!(matches!(bad, EncodeError::TokenizerBad { .. }), "{bad}");
    for (file, text) in [
        ("config.json", "{"),
        ("helix-model.toml", "poling = \"mean\""),
        ("helix-model.toml", "pooling = \"mean\"\ndim = 4"),
        ("helix-model.toml", "pooling = \"mean\"\ndim = 0"),
        ("helix-model.toml", "pooling = \"mean\"\nmax_len = 3"),
        (
            "modules.json",
            r#"[{"type": "sentence_transformers.models.Dense"}]"#,
        ),
    ] {
        let error = open(&|dir: &Directory| {
            if file == "modules.json" {
                fs::remove_file(dir.path().join("helix-model.toml")).expect("removes");
            }
            dir.write(file, text);
        });
        assert!(
            matches!(error, EncodeError::ModelBad { .. }),
            "{file} {text}: {error}"
        );
    }
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"\nsha256 = \"00\"");
    let error = dir.describe_dense().err();
    assert!(
        matches!(&error, Some(EncodeError::FileBad { path, .. }) if path.ends_with("model.onnx")),
        "{error:?}"
    );
}

/// What is said of a directory's files, before a runtime is loaded.
fn complaint(break_it: &dyn Fn(&Directory)) -> String {
    let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
    break_it(&dir);
    let error = dir.describe_dense().expect_err("is refused");
    assert!(dir.open(EncoderKind::Dense).is_err());
    error.to_string()
}

#[test]
fn each_damage_to_a_file_is_told_by_its_name_and_with_its_mending() {
    const GRAPH: &str = "onnx/model.onnx";
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90\n";
    let page = "\n<!DOCTYPE html><html>Not found</html>";
    let whole = graph(Output::Hidden);
    for (file, text, says) in [
        (GRAPH, lfs, "git lfs pull"),
        ("tokenizer.json", lfs, "git lfs pull"),
        (GRAPH, page, "web page"),
        ("tokenizer.json", page, "web page"),
        (GRAPH, "", "empty"),
        (GRAPH, "not a graph", "not an ONNX graph"),
        (GRAPH, "{\"error\": \"not found\"}", "not an ONNX graph"),
    ] {
        let said = complaint(&|dir| dir.write(file, text));
        let name = Path::new(file).file_name().expect("named").display();
        assert!(
            said.contains(&format!("{name}: ")) && said.contains(says),
            "{said}"
        );
    }
    for length in 1..whole.len() {
        let said = complaint(&|dir| {
            fs::write(dir.path().join(GRAPH), &whole[..length]).expect("writes");
        });
        let told = said.contains("cut off") || said.contains("not an ONNX graph");
        assert!(told, "{length} of {}: {said}", whole.len());
    }
}

#[test]
fn what_files_say_must_agree_with_the_graph() {
    let said = complaint(&|dir| dir.write("helix-model.toml", "pooling = \"mean\"\ndim = 4"));
    assert!(
        said.contains("dim = 4") && said.contains("3 numbers"),
        "{said}"
    );
    let said = complaint(&|dir| dir.write("config.json", "{\"hidden_size\": 2}"));
    assert!(
        said.contains("2 numbers") && said.contains("gives 3"),
        "{said}"
    );
    let said = complaint(&|dir| {
        dir.write("helix-model.toml", "pooling = \"mean\"\nmax_len = 17");
    });
    assert!(
        said.contains("max_len = 17") && said.contains("16 positions"),
        "{said}"
    );
    let said = complaint(&|dir| {
        let bert = include_str!("../../../assets/models/tokenizer.json");
        dir.write("tokenizer.json", bert);
    });
    assert!(
        said.contains("30521") && said.contains("8 tokens"),
        "{said}"
    );
    let said = complaint(&|dir| {
        fs::rename(
            dir.path().join("onnx/model.onnx"),
            dir.path().join("onnx/model_int8.onnx"),
        )
        .expect("renames");
    });
    assert!(
        said.contains("model_int8.onnx") && said.contains("`file`"),
        "{said}"
    );
}

#[test]
fn inputs_that_a_text_has_not_are_named() {
    use crate::encode::onnx::{Element, ValueInfo};
    for (at, name, element, says) in [
        (
            2,
            "token_type_ids",
            Element::FLOAT,
            "integers of 64 or 32 bits",
        ),
        (
            0,
            "pixel_values",
            Element::INT64,
            "asks for an input pixel_values",
        ),
    ] {
        let mut proto = onnx::proto(Output::Hidden);
        proto.graph.inputs[at] = ValueInfo::tensor(name, element, &[None, None]);
        if at == 0 {
            proto.graph.nodes[0].inputs[1] = name.to_owned();
        }
        let dir = Directory::new(Output::Hidden, "pooling = \"mean\"");
        dir.write_graph(&proto);
        let said = dir
            .open(EncoderKind::Dense)
            .err()
            .expect("is refused")
            .to_string();
        assert!(said.contains(name) && said.contains(says), "{said}");
    }
}
