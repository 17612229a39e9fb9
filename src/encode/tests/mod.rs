//! The encoders as a whole: the embedded pair against reference figures, and small models of every accepted shape, which
//! tests write as a [`Directory`].

use super::*;
use crate::batch::EncoderKind;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource};
use crate::vector::{DenseVector, SparseVector};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod builtin;
mod description;
mod devices;
mod directories;
mod embedded;
mod faults;
mod fixtures;
mod fusing;
mod onnx;
mod pooling;
mod preparing;
mod refusals;
mod routers;
mod runtime;

use onnx::{Output, graph};

fn embedded() -> Encoders {
    Encoders::open(&EncoderChoice::default()).expect("the embedded encoders open")
}

fn encode(encoders: &mut Encoders, text: &str) -> Encoded {
    let text = encoders.tokenizer().tokenize(text);
    encoders.encode(&text).expect("encodes")
}

/// A model directory with the vocabulary of [`WORDS`].
struct Directory(tempfile::TempDir);

const WORDS: [&str; 8] = [
    "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "##ish", ".",
];

impl Directory {
    /// Replace its graph.
    fn write_graph(&self, proto: &super::onnx::Proto) {
        fs::write(self.path().join("onnx/model.onnx"), onnx::encoded(proto)).expect("writes");
    }

    fn new(output: Output, toml: &str) -> Self {
        let dir = Self(crate::test_folder::create());
        fs::create_dir(dir.path().join("onnx")).expect("makes a directory");
        fs::write(dir.path().join("onnx/model.onnx"), graph(output)).expect("writes");
        let vocabulary: Vec<String> = WORDS
            .iter()
            .enumerate()
            .map(|(id, word)| format!("{word:?}: {id}"))
            .collect();
        let bert = include_str!("../../../assets/models/tokenizer.json");
        let (rules, _) = bert.split_once("\"vocab\":{").expect("BERT's tokenizer");
        let rules = [(100, 0), (101, 1), (102, 2), (103, 2)]
            .iter()
            .fold(rules.to_owned(), |text, (old, new)| {
                text.replace(&format!("\"id\":{old},"), &format!("\"id\":{new},"))
                    .replace(&format!("\"ids\":[{old}]"), &format!("\"ids\":[{new}]"))
            })
            .replace("{\"id\":0,\"special\":true,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false},", "")
            .replace(",{\"id\":2,\"special\":true,\"content\":\"[MASK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false}", "");
        dir.write(
            "tokenizer.json",
            &format!("{rules}\"vocab\":{{{}}}}}}}", vocabulary.join(",")),
        );
        dir.write(
            "config.json",
            r#"{"hidden_size": 3, "max_position_embeddings": 16}"#,
        );
        dir.write("helix-model.toml", toml);
        dir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).expect("writes");
    }

    fn choice(&self, kind: EncoderKind) -> EncoderChoice {
        models::single_encoder(kind, self.path(), None)
    }

    fn describe_dense(&self) -> Result<ModelInfo, EncodeError> {
        Ok(describe(&self.choice(EncoderKind::Dense))?
            .dense
            .expect("a dense encoder"))
    }

    fn open(&self, kind: EncoderKind) -> Result<Encoders, EncodeError> {
        Encoders::open(&self.choice(kind))
    }
}
