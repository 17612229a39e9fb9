//! One kind of build, taken apart: the program's CPU time, that of its stages, and SQLite's floor for the
//! same rows.

use crate::floor;
use crate::parse::parse_all;
use crate::program::{Build, NO_MODELS};
use crate::stages::{self, Pass};
use crate::table::{Cell, Samples, Table};
use helix_build::encode::Encoders;
use helix_build::profile::encoders::{EncoderChoice, ModelSource};
use helix_build::profile::recipe::{Chunker, Recipe};
use std::path::Path;
use std::time::Duration;

/// The encoders of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    None,
    BuiltIn,
}

/// One kind of build and its figures.
pub struct Measured {
    pub name: String,
    pub recipe: Recipe,
    build: Build,
    flags: Vec<&'static str>,
    encoders: Encoders,
    /// Bytes and distinct chunks of the index.
    pub bytes: u64,
    pub chunks: u64,
    /// CPU seconds, each round's.
    pub whole: Samples,
    pub floor: Samples,
    pub parse: Samples,
    stages: Vec<(&'static str, Samples)>,
}

impl Measured {
    /// Builds of the folder `root`, cut by `chunker`, with the built-in encoders or none.
    pub fn new(
        chunker: Chunker,
        models: Models,
        folder: &Path,
        root: &Path,
    ) -> anyhow::Result<Self> {
        let chunker_name = match chunker {
            Chunker::Ast => "ast",
            Chunker::Compat => "compat",
        };
        let (name, source, flags) = match models {
            Models::None => (
                format!("{chunker_name}, no models"),
                ModelSource::None,
                &NO_MODELS[..],
            ),
            Models::BuiltIn => (
                format!("{chunker_name}, built-in encoders"),
                ModelSource::Embedded,
                &[][..],
            ),
        };
        let choice = EncoderChoice {
            sparse: source.clone(),
            dense: source,
            ..EncoderChoice::default()
        };
        let settings = format!("chunker = \"{chunker_name}\"");
        Ok(Self {
            recipe: Recipe {
                chunker,
                ..Recipe::default()
            },
            build: Build::new(folder.join(&name), &[root.to_path_buf()], &settings)?,
            name,
            flags: flags.to_vec(),
            encoders: Encoders::open(&choice)?,
            bytes: 0,
            chunks: 0,
            whole: Samples::default(),
            floor: Samples::default(),
            parse: Samples::default(),
            stages: Vec::new(),
        })
    }

    /// The program, the stages, the floor and the parser, once each.
    pub fn round(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        let built = self.build.run(&self.flags)?;
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

    /// CPU seconds that parsing and SQLite's floor take together.
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

    fn stage_row(&self, name: &str, spent: &Samples) -> [Cell; 3] {
        let share = spent.over(&self.whole).map(|share| share * 100.0);
        [
            Cell::text(name),
            Cell::figure(&spent.map(|seconds| seconds * 1e3 / self.megabytes()), 1),
            Cell::figure(&share, 0),
        ]
    }
}
