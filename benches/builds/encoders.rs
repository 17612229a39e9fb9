//! Compares builds with bare sessions on the same token sequences, for encoders of various sizes: does the encoder take
//! most of the time?
//!
//! Large encoders are not part of the repository: `tools/make_models.py` creates them, and `--models DIR` selects their
//! folder. Missing ones are skipped with a message.

use crate::bare::BareRun;
use crate::breakdown::{EncoderSet, Measured as Parts, parts_table};
use crate::corpus::Corpus;
use crate::options::Options;
use crate::program::Build;
use crate::stages;
use crate::table::{Cell, Samples, Table};
use anyhow::Context as _;
use helix_build::batch::EncoderKind;
use helix_build::encode::{self, Encoders};
use helix_build::profile::encoders::{EncoderChoice, ModelSource};
use helix_build::profile::recipe::{Chunker, Recipe};
use std::fs;
use std::path::{Path, PathBuf};

/// Encoders that are measured together.
struct Set {
    name: &'static str,
    /// Folders below `--models`; `None` for no encoder of this kind.
    sparse: Option<&'static str>,
    dense: Option<&'static str>,
    /// Text for one round, for about 20 CPU-seconds.
    bytes: u64,
}

/// The folder name that stands for the encoders inside the program.
const BUILT_IN: &str = "built-in";

const SETS: [Set; 7] = [
    Set {
        name: "SPLADE, fp32",
        sparse: Some("splade"),
        dense: None,
        bytes: 75_000,
    },
    Set {
        name: "SPLADE, fp32, prepared",
        sparse: Some("splade-prepared"),
        dense: None,
        bytes: 75_000,
    },
    Set {
        name: "SPLADE, int8",
        sparse: Some("splade-int8"),
        dense: None,
        bytes: 150_000,
    },
    Set {
        name: "MiniLM, fp32",
        sparse: None,
        dense: Some("minilm"),
        bytes: 500_000,
    },
    Set {
        name: "MiniLM, int8",
        sparse: None,
        dense: Some("minilm-int8"),
        bytes: 800_000,
    },
    Set {
        name: "SPLADE and MiniLM, fp32",
        sparse: Some("splade"),
        dense: Some("minilm"),
        bytes: 75_000,
    },
    Set {
        name: "built in",
        sparse: Some(BUILT_IN),
        dense: Some(BUILT_IN),
        bytes: 8_000_000,
    },
];

/// Text of a build that is broken down, with an encoder of about 8,000 tokens per CPU-second.
const PARTS_BYTES: u64 = 300_000;

/// One set and its measurements.
struct Measured<'a> {
    name: &'static str,
    build: Build,
    /// The same with hardly any text: the cost of starting.
    start: Build,
    flags: Vec<String>,
    bare: Vec<BareRun<'a>>,
    tokens: u64,
    bare_s: Samples,
    build_s: Samples,
    start_s: Samples,
}

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let runtime = encode::runtime_info(&EncoderChoice::default())?.path;
    let mut sets = Vec::new();
    for set in &SETS {
        let Some(encoders) = set.encoders(options) else {
            continue;
        };
        let place = folder.path().join(sets.len().to_string());
        let corpus = corpus.thinned(options.share(set.bytes));
        sets.push(Measured::new(encoders, &corpus, &runtime, &place)?);
    }
    for _ in 0..options.slow_rounds() {
        for set in &mut sets {
            set.round()?;
        }
    }
    let mut table = Table::new(
        "Builds against bare sessions, tokens per CPU-second, 1 worker",
        &[
            "encoders",
            "tokens",
            "bare session",
            "build, without starting",
            "starting, CPU s",
            "build / bare",
            "with starting",
        ],
    );
    for set in &sets {
        table.row(set.row());
    }
    let mut tables = vec![table];
    if let Some(minilm) = options.model("minilm") {
        let encoders = EncoderSet::new("MiniLM, fp32", ModelSource::None, minilm);
        let root = corpus
            .thinned(options.share(PARTS_BYTES))
            .copy_into(&folder.path().join("parts"))?;
        let mut parts = Parts::new(Chunker::Ast, &encoders, folder.path(), &root)?;
        for _ in 0..options.slow_rounds() {
            parts.round(&root, folder.path())?;
        }
        tables.push(parts_table(&[parts]));
    }
    Ok(tables)
}

impl Set {
    /// Return `None`, with a message, if a model is missing.
    fn encoders(&self, options: &Options) -> Option<EncoderSet> {
        let source = |folder: Option<&'static str>| match folder {
            None => Some(ModelSource::None),
            Some(BUILT_IN) => Some(ModelSource::Embedded),
            Some(name) => options.model(name),
        };
        Some(EncoderSet::new(
            self.name,
            source(self.sparse)?,
            source(self.dense)?,
        ))
    }
}

impl<'a> Measured<'a> {
    fn new(
        encoders: EncoderSet,
        corpus: &Corpus,
        runtime: &'a Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let root = corpus.copy_into(&folder.join("corpus"))?;
        let little = folder.join("little");
        fs::create_dir_all(&little)?;
        fs::write(
            little.join("a.txt"),
            "The only text of a build that shows what starting costs.\n",
        )?;
        let sequences = sequences(&root, &encoders.choice)?;
        let sources = [&encoders.choice.sparse, &encoders.choice.dense];
        let mut bare = Vec::new();
        let mut tokens = 0;
        for (n, (source, sequences)) in sources.into_iter().zip(&sequences).enumerate() {
            let Some(graph) = graph(source, n)? else {
                continue;
            };
            let path = folder.join(format!("sequences{n}.json"));
            fs::write(&path, serde_json::to_vec(sequences)?)?;
            tokens += sequences.iter().map(|ids| ids.len() as u64).sum::<u64>();
            bare.push(BareRun {
                runtime,
                graph,
                sequences: path,
            });
        }
        let one_worker = ["--shard-workers", "1"].map(str::to_owned);
        Ok(Self {
            name: encoders.name,
            build: Build::new(folder.join("build"), &[root], "")?,
            start: Build::new(folder.join("start"), &[little], "min_file_bytes = 1")?,
            flags: [&one_worker[..], &encoders.flags()].concat(),
            bare,
            tokens,
            bare_s: Samples::default(),
            build_s: Samples::default(),
            start_s: Samples::default(),
        })
    }

    fn round(&mut self) -> anyhow::Result<()> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let mut bare = 0.0;
        for run in &self.bare {
            bare += run.measure()?.as_secs_f64();
        }
        let start = self.start.run(&flags)?.run.cpu_s;
        let build = self.build.run(&flags)?.run.cpu_s;
        self.bare_s.push(bare);
        self.start_s.push(start);
        self.build_s.push(build);
        Ok(())
    }

    fn row(&self) -> [Cell; 7] {
        let rate = |seconds: &Samples| seconds.map(|seconds| self.tokens as f64 / seconds);
        let running = self.build_s.plus(&self.start_s.map(|seconds| -seconds));
        [
            Cell::text(self.name),
            Cell::text(self.tokens),
            Cell::figure(&rate(&self.bare_s), 0),
            Cell::figure(&rate(&running), 0),
            Cell::figure(&self.start_s, 1),
            Cell::figure(&self.bare_s.over(&running), 3),
            Cell::figure(&self.bare_s.over(&self.build_s), 3),
        ]
    }
}

/// Return the token sequences of both encoders for all chunks of the folder, including special tokens.
fn sequences(root: &Path, choice: &EncoderChoice) -> anyhow::Result<[Vec<Vec<i64>>; 2]> {
    let texts = stages::chunk_texts(root, &Recipe::default())?;
    let tokenizer = Encoders::open(choice)?.tokenizer();
    let tokenized: Vec<_> = texts.iter().map(|text| tokenizer.tokenize(text)).collect();
    Ok([EncoderKind::Sparse, EncoderKind::Dense].map(|kind| {
        let windows = tokenized.iter().flat_map(|text| text.sequences(kind));
        windows.map(<[i64]>::to_vec).collect()
    }))
}

/// The encoder's ONNX file.
fn graph(source: &ModelSource, position: usize) -> anyhow::Result<Option<PathBuf>> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    Ok(match source {
        ModelSource::None | ModelSource::Server(_) => None,
        ModelSource::Embedded => {
            Some(assets.join(["helix-sparse-mini.onnx", "helix-dense-mini.onnx"][position]))
        }
        ModelSource::Directory(folder) => {
            let candidates = ["model.onnx", "onnx/model.onnx"].map(|file| folder.join(file));
            let found = candidates.into_iter().find(|path| path.is_file());
            Some(found.with_context(|| format!("{} has no model.onnx", folder.display()))?)
        }
    })
}
