//! What the files of a directory state, in the forms of several versions of their library.

use super::*;
use crate::batch::EncoderKind;
use crate::encode::directory;
use crate::encode::model::{Model, Pooling};
use crate::encode::onnx::{Element, ValueInfo};

const MEAN: &str = r#"{"embedding_dimension": 3, "pooling_mode": "mean", "include_prompt": true}"#;

/// A dense directory without `helix-model.toml`, with these files.
fn with(files: &[(&str, &str)]) -> Directory {
    let dir = Directory::new(Output::Hidden, "");
    fs::remove_file(dir.path().join("helix-model.toml")).expect("removes");
    fs::create_dir(dir.path().join("1_Pooling")).expect("makes a directory");
    dir.write("1_Pooling/config.json", MEAN);
    for (file, text) in files {
        dir.write(file, text);
    }
    dir
}

fn read(dir: &Directory) -> Result<Model, String> {
    directory::read(EncoderKind::Dense, dir.path()).map_err(|error| error.to_string())
}

fn vector(dir: &Directory, text: &str) -> Vec<f32> {
    let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
    encode(&mut encoders, text).dense.expect("a direction").0
}

#[test]
fn each_version_of_the_pooling_file_is_read() {
    let expected = vector(
        &Directory::new(Output::Hidden, "pooling = \"mean\""),
        "red blue",
    );
    for text in [
        MEAN,
        r#"{"word_embedding_dimension": 3, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#,
        r#"{"embedding_dimension": 3, "pooling_mode": ["mean"]}"#,
    ] {
        assert_eq!(
            vector(&with(&[("1_Pooling/config.json", text)]), "red blue"),
            expected,
            "{text}"
        );
    }
    for (text, says) in [
        (r#"{"pooling_mode": ["cls", "mean"]}"#, "cls and mean"),
        (r#"{"pooling_mode": "max"}"#, "asks for max"),
        (
            r#"{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}"#,
            "cls and max",
        ),
    ] {
        let error = read(&with(&[("1_Pooling/config.json", text)])).expect_err("is refused");
        assert!(
            error.contains(says) && error.contains("sentence_embedding"),
            "{text}: {error}"
        );
    }
}

#[test]
fn prompts_of_the_library_stand_in_front_and_can_be_overridden() {
    let library = "config_sentence_transformers.json";
    let prompts =
        r#"{"prompts": {"query": "green ", "document": "red "}, "default_prompt_name": null}"#;
    let dir = with(&[(library, prompts)]);
    let plain = with(&[]);
    assert_eq!(vector(&dir, "blue"), vector(&plain, "red blue"));
    let mut encoders = dir.open(EncoderKind::Dense).expect("opens");
    let query = encoders
        .encode_query("blue")
        .expect("encodes")
        .dense
        .expect("a direction");
    assert_eq!(query.0, vector(&plain, "green blue"));
    assert_ne!(
        dir.describe_dense().expect("describes").hash,
        plain.describe_dense().expect("describes").hash
    );
    dir.write(
        "helix-model.toml",
        "passage_prefix = \"\"\nquery_prefix = \"\"",
    );
    assert_eq!(vector(&dir, "blue"), vector(&plain, "blue"));

    let report = check_model(with(&[(library, prompts)]).path(), None).expect("is usable");
    assert_eq!(
        (&*report.query_prefix, &*report.passage_prefix),
        ("green ", "red ")
    );
    let error =
        read(&with(&[(library, r#"{"default_prompt_name": "any"}"#)])).expect_err("is refused");
    assert!(error.contains("\"any\""), "{error}");
    let left_out = r#"{"pooling_mode": "mean", "include_prompt": false}"#;
    let error = read(&with(&[
        (library, prompts),
        ("1_Pooling/config.json", left_out),
    ]));
    assert!(error.expect_err("is refused").contains("include_prompt"));
    assert!(read(&with(&[("1_Pooling/config.json", left_out)])).is_ok());
}

#[test]
fn keys_without_effect_are_listed() {
    let dir = with(&[
        (
            "config_sentence_transformers.json",
            r#"{"similarity_fn_name": "dot", "prompts": {}}"#,
        ),
        (
            "sentence_bert_config.json",
            r#"{"query_length": 32, "document_length": null}"#,
        ),
    ]);
    let report = check_model(dir.path(), None).expect("is usable");
    assert_eq!(
        report.unused,
        [
            "config_sentence_transformers.json: similarity_fn_name = \"dot\"",
            "sentence_bert_config.json: query_length = 32"
        ]
    );
}

#[test]
fn modules_that_the_graph_lacks_are_refused_whatever_the_pooling_says() {
    let modules = |class: &str| {
        format!(
            r#"[{{"type": "sentence_transformers.base.modules.transformer.Transformer"}},
                {{"type": "sentence_transformers.models.Pooling"}}, {{"type": "{class}"}}]"#
        )
    };
    for class in [
        "sentence_transformers.models.Dense",
        "sentence_transformers.models.LayerNorm",
        "own.Scale",
    ] {
        let dir = with(&[("modules.json", &modules(class))]);
        for toml in ["", "pooling = \"mean\""] {
            dir.write("helix-model.toml", toml);
            let error = read(&dir).expect_err("is refused");
            assert!(error.contains(class), "{error}");
        }
        // A graph with the whole pipeline is read as it is.
        fs::write(dir.path().join("onnx/model.onnx"), graph(Output::Sentence)).expect("writes");
        dir.write("helix-model.toml", "");
        assert_eq!(read(&dir).expect("reads").pooling, Some(Pooling::None));
        assert!(dir.open(EncoderKind::Dense).is_ok());
    }
    for class in [
        "sentence_transformers.models.Normalize",
        "sentence_transformers.models.Dropout",
    ] {
        assert!(read(&with(&[("modules.json", &modules(class))])).is_ok());
    }
}

#[test]
fn the_longest_run_is_the_least_that_is_stated() {
    let tokenizer = "tokenizer_config.json";
    for (files, expected) in [
        (&[][..], 16),
        (&[(tokenizer, r#"{"model_max_length": 9}"#)], 9),
        (
            &[(
                tokenizer,
                r#"{"model_max_length": 1000000000000000019884624838656}"#,
            )],
            16,
        ),
        (&[(tokenizer, r#"{"model_max_length": null}"#)], 16),
        (&[(tokenizer, r#"{"model_max_length": 99}"#)], 16),
        (
            &[
                (tokenizer, r#"{"model_max_length": 9}"#),
                ("sentence_bert_config.json", r#"{"max_seq_length": 7}"#),
            ],
            7,
        ),
        (
            &[(
                "config.json",
                r#"{"model_type": "roberta", "max_position_embeddings": 16, "pad_token_id": 5}"#,
            )],
            10,
        ),
        (
            &[(
                "config.json",
                r#"{"model_type": "roberta", "max_position_embeddings": 16}"#,
            )],
            14,
        ),
    ] {
        assert_eq!(
            read(&with(files)).expect("reads").max_len,
            expected,
            "{files:?}"
        );
    }
}

#[test]
fn widths_have_the_names_of_their_families() {
    for key in ["hidden_size", "d_model", "dim", "n_embd"] {
        let dir = with(&[
            ("config.json", &format!("{{\"{key}\": 2}}")),
            ("1_Pooling/config.json", r#"{"pooling_mode": "mean"}"#),
        ]);
        let error = read(&dir).expect_err("the graph gives 3");
        assert!(error.contains("2 numbers"), "{key}: {error}");
    }
    let dir = with(&[(
        "config_sentence_transformers.json",
        r#"{"truncate_dim": 2}"#,
    )]);
    assert_eq!(vector(&dir, "red").len(), 2);
}

#[test]
fn models_that_score_texts_are_refused_as_such() {
    for (labels, config) in [
        (
            Some(1),
            r#"{"architectures": ["BertForSequenceClassification"]}"#,
        ),
        (Some(2), "{}"),
        (
            None,
            r#"{"architectures": ["XLMRobertaForSequenceClassification"]}"#,
        ),
    ] {
        let mut proto = onnx::proto(Output::Sentence);
        proto.graph.nodes.last_mut().expect("a node").outputs = vec!["logits".to_owned()];
        proto.graph.outputs = vec![ValueInfo::tensor("logits", Element::FLOAT, &[None, labels])];
        let dir = Directory::new(Output::Sentence, "");
        dir.write("config.json", config);
        dir.write_graph(&proto);
        for kind in [EncoderKind::Sparse, EncoderKind::Dense] {
            let error = directory::read(kind, dir.path())
                .expect_err("is refused")
                .to_string();
            assert!(error.contains("scores texts"), "{config}: {error}");
        }
    }
}

#[test]
fn do_lower_case_makes_a_cased_tokenizer_lower() {
    let cased = |dir: &Directory| {
        let tokenizer = fs::read_to_string(dir.path().join("tokenizer.json")).expect("reads");
        let edited = tokenizer.replace("\"lowercase\":true", "\"lowercase\":false");
        assert_ne!(tokenizer, edited);
        dir.write("tokenizer.json", &edited);
    };
    let dir = with(&[]);
    cased(&dir);
    let lower = vector(&dir, "red blue");
    assert_ne!(vector(&dir, "RED Blue"), lower);
    dir.write(
        "sentence_bert_config.json",
        r#"{"max_seq_length": 16, "do_lower_case": true}"#,
    );
    assert_eq!(vector(&dir, "RED Blue"), lower);
}

#[test]
fn older_tokenizers_are_told_apart_from_none() {
    let dir = with(&[("vocab.txt", "red\n")]);
    fs::remove_file(dir.path().join("tokenizer.json")).expect("removes");
    let error = read(&dir).expect_err("is refused");
    assert!(
        error.contains("vocab.txt") && error.contains("AutoTokenizer"),
        "{error}"
    );
}

#[test]
fn another_graph_beside_it_is_named() {
    let dir = with(&[]);
    fs::write(dir.path().join("onnx/model_O3.onnx"), graph(Output::Hidden)).expect("writes");
    let report = check_model(dir.path(), None).expect("is usable");
    assert_eq!(
        report.graph,
        Path::new("onnx").join("model.onnx").display().to_string()
    );
    assert!(
        report
            .advice
            .iter()
            .any(|advice| advice.contains("model_O3.onnx")),
        "{:?}",
        report.advice
    );
}

#[test]
fn weights_that_begin_like_a_tag_are_no_page() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (bytes, is_page) in [
        (&b"\x3c\x00\x12\xbf weights"[..], false),
        (b"<<<<<<<<", false),
        (b"  <!DOCTYPE html>", true),
        (b"<HTML>", true),
        (b"<?xml version=\"1.0\"?><Error/>", true),
    ] {
        fs::write(file.path(), bytes).expect("writes");
        let checked = crate::encode::graph_file::check_head(EncoderKind::Dense, file.path());
        assert_eq!(checked.is_err(), is_page, "{bytes:?}");
    }
}
