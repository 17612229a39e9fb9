//! Breaks down one kind of build: CPU time of the program, of its stages, and of SQLite for the same rows.

use crate::floor;
use crate::parse::parse_all;
use crate::program::Build;
use crate::stages::{self, Pass};
use crate::table::{Cell, Samples, Table};
use helix_build::encode::Encoders;
use helix_build::profile::encoders::{EncoderChoice, ModelSource};
use helix_build::profile::recipe::{Chunker, Recipe};
use std::path::Path;
use std::time::Duration;

/// The encoders of a build.
#[derive(Clone, Debug)]
pub struct EncoderSet {
    pub name: &'static str,
    pub choice: EncoderChoice,
}

impl EncoderSet {
    pub fn new(name: &'static str, sparse: ModelSource, dense: ModelSource) -> Self {
        let choice = EncoderChoice {
            sparse,
            dense,
            ..EncoderChoice::default()
        };
        Self { name, choice }
    }

    pub fn none() -> Self {
        Self::new("no models", ModelSource::None, ModelSource::None)
    }

    pub fn built_in() -> Self {
        Self::new(
            "built-in encoders",
            ModelSource::Embedded,
            ModelSource::Embedded,
        )
    }

    /// The flags of the program.
    pub fn flags(&self) -> [String; 4] {
        let value = |source: &ModelSource| match source {
            ModelSource::None => "none".to_owned(),
            ModelSource::Embedded => "embedded".to_owned(),
            ModelSource::Directory(folder) => folder.display().to_string(),
            ModelSource::Server(address) => address.to_string(),
        };
        let (sparse, dense) = (value(&self.choice.sparse), value(&self.choice.dense));
        [
            "--sparse-model".to_owned(),
            sparse,
            "--dense-model".to_owned(),
            dense,
        ]
    }
}

/// One kind of build and its measurements.
pub struct Measured {
    pub name: String,
    pub recipe: Recipe,
    build: Build,
    flags: Vec<String>,
    encoders: Encoders,
    /// Bytes and distinct chunks of the index.
    pub bytes: u64,
    pub chunks: u64,
    /// CPU seconds of each round.
    pub whole: Samples,
    pub floor: Samples,
    pub parse: Samples,
    stages: Vec<(&'static str, Samples)>,
}

impl Measured {
    /// Measure builds of the folder `root` with `chunker`.
    pub fn new(
        chunker: Chunker,
        encoders: &EncoderSet,
        folder: &Path,
        root: &Path,
    ) -> anyhow::Result<Self> {
        let chunker_name = match chunker {
            Chunker::Ast => "ast",
            Chunker::Compat => "compat",
        };
        let name = format!("{chunker_name}, {}", encoders.name);
        let settings = format!("chunker = \"{chunker_name}\"");
        Ok(Self {
            recipe: Recipe {
                chunker,
                ..Recipe::default()
            },
            build: Build::new(folder.join(&name), &[root.to_path_buf()], &settings)?,
            name,
            flags: encoders.flags().to_vec(),
            encoders: Encoders::open(&encoders.choice)?,
            bytes: 0,
            chunks: 0,
            whole: Samples::default(),
            floor: Samples::default(),
            parse: Samples::default(),
            stages: Vec::new(),
        })
    }

    /// Measure the program, the stages, the floor and the parser once each.
    pub fn round(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let built = self.build.run(&flags)?;
        self.whole.push(built.run.cpu_s);
        (self.bytes, self.chunks) = (built.source_bytes, built.chunks);
        let work = tempfile::tempdir_in(folder)?;
        let pass = self.take_stages(root, work.path())?;
        let floor = floor::copy_index(&pass.shard, work.path())?;
        self.floor.push(floor.as_secs_f64());
        let parse = match self.recipe.chunker {
            Chunker::Compat => Duration::ZERO,
            Chunker::Ast => {
                let texts = stages::texts_to_parse(root, &self.recipe)?;
                parse_all(stages::borrowed(&texts))?
            }
        };
        self.parse.push(parse.as_secs_f64());
        Ok(())
    }

    fn take_stages(&mut self, root: &Path, work: &Path) -> anyhow::Result<Pass> {
        let pass = stages::pass(root, &self.recipe, &mut self.encoders, work)?;
        anyhow::ensure!(
            (pass.chunks, pass.bytes) == (self.chunks, self.bytes),
            "the stages made {} chunks of {} bytes, the program {} of {}",
            pass.chunks,
            pass.bytes,
            self.chunks,
            self.bytes
        );
        if self.stages.is_empty() {
            let stages = pass
                .spent
                .iter()
                .map(|(stage, _)| (*stage, Samples::default()));
            self.stages = stages.collect();
        }
        for ((_, samples), (_, spent)) in self.stages.iter_mut().zip(&pass.spent) {
            samples.push(spent.as_secs_f64());
        }
        Ok(pass)
    }

    fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }

    /// MB of text per CPU-second.
    pub fn rate(&self, seconds: &Samples) -> Samples {
        seconds.map(|seconds| self.megabytes() / seconds)
    }

    /// CPU seconds of parsing and SQLite's floor together.
    pub fn bound(&self) -> Samples {
        self.parse.plus(&self.floor)
    }

    pub fn table(&self) -> Table {
        let title = format!(
            "Where the CPU time goes: {} ({:.1} MB)",
            self.name,
            self.megabytes()
        );
        let mut table = Table::new(title, &["stage", "ms per MB of text", "% of the build"]);
        let mut known = self.whole.map(|_| 0.0);
        for (name, spent) in &self.stages {
            table.row(self.stage_row(name, spent));
            known = known.plus(spent);
        }
        let rest = self.whole.plus(&known.map(|seconds| -seconds));
        table.row(self.stage_row("processes, messages, ledgers (the rest)", &rest));
        table.row(self.stage_row("whole build", &self.whole));
        table.row(self.stage_row("for comparison: SQLite's floor", &self.floor));
        if self.recipe.chunker == Chunker::Ast {
            table.row(self.stage_row("for comparison: bare tree-sitter", &self.parse));
        }
        table
    }

    /// CPU seconds of the stages of one part, with their input in memory.
    fn part(&self, part: &str) -> Samples {
        let stages = self
            .stages
            .iter()
            .filter(|(stage, _)| stages::part_of(stage) == part);
        stages.fold(self.whole.map(|_| 0.0), |sum, (_, spent)| sum.plus(spent))
    }

    fn stage_row(&self, name: &str, spent: &Samples) -> [Cell; 3] {
        let share = spent.over(&self.whole).map(|share| share * 100.0);
        [
            Cell::text(name),
            Cell::figure(&spent.map(|seconds| seconds * 1e3 / self.megabytes()), 1),
            Cell::figure(&share, 0),
        ]
    }
}

/// Tabulate the cost of each part, for each kind of build: the writer without the reader, the reader without the encoder.
pub fn parts_table(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Parts of a build, CPU ms per MB of text (share of the build, %)",
        &[
            "build of",
            "source",
            "chunk",
            "encode",
            "sink",
            "the rest",
            "whole build",
        ],
    );
    for one in measured {
        let parts = stages::PARTS.map(|part| one.part(part));
        let known = parts
            .iter()
            .fold(one.whole.map(|_| 0.0), |sum, part| sum.plus(part));
        let rest = one.whole.plus(&known.map(|seconds| -seconds));
        let cell = |spent: &Samples| {
            let per_megabyte = spent.map(|seconds| seconds * 1e3 / one.megabytes());
            let share = spent.over(&one.whole).map(|share| share * 100.0);
            Cell::text(format!(
                "{:.1} ({:.1})",
                per_megabyte.median(),
                share.median()
            ))
        };
        let mut row = vec![Cell::text(&one.name)];
        row.extend(parts.iter().chain([&rest, &one.whole]).map(cell));
        table.row(row);
    }
    table
}
