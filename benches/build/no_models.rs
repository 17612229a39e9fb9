//! The path of a text without encoders: against SQLite's floor, and stage by stage.

use crate::corpus::Corpus;
use crate::floor;
use crate::options::Options;
use crate::parse::parse_all;
use crate::program::{Build, NO_MODELS};
use crate::stages::{self, STAGES};
use crate::table::{Cell, Samples, Table};
use helix_build::profile::recipe::{Chunker, Recipe};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One chunker's figures.
struct Measured {
    name: &'static str,
    recipe: Recipe,
    build: Build,
    /// Bytes and distinct chunks of the index.
    bytes: u64,
    chunks: u64,
    /// CPU seconds, each round's.
    whole: Samples,
    floor: Samples,
    parse: Samples,
    /// One for each of [`STAGES`].
    stages: Vec<Samples>,
}

pub fn measure(corpus: &Corpus, options: &Options) -> anyhow::Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let root = corpus.copy_into(&folder.path().join("corpus"))?;
    let mut measured = Vec::new();
    for (name, chunker) in [("compat", Chunker::Compat), ("ast", Chunker::Ast)] {
        measured.push(Measured::new(name, chunker, folder.path(), &root)?);
    }
    for _ in 0..options.rounds() {
        for one in &mut measured {
            one.round(&root, folder.path())?;
        }
    }
    let mut tables = vec![ratios(&measured)];
    tables.extend(measured.iter().map(Measured::stages_table));
    Ok(tables)
}

impl Measured {
    fn new(
        name: &'static str,
        chunker: Chunker,
        folder: &Path,
        root: &PathBuf,
    ) -> anyhow::Result<Self> {
        let settings = format!("chunker = \"{name}\"");
        Ok(Self {
            name,
            recipe: Recipe {
                chunker,
                ..Recipe::default()
            },
            build: Build::new(folder.join(name), std::slice::from_ref(root), &settings)?,
            bytes: 0,
            chunks: 0,
            whole: Samples::default(),
            floor: Samples::default(),
            parse: Samples::default(),
            stages: vec![Samples::default(); STAGES.len()],
        })
    }

    fn round(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        let built = self.build.run(&NO_MODELS)?;
        self.whole.push(built.run.cpu_s);
        (self.bytes, self.chunks) = (built.source_bytes, built.chunks);

        let work = folder.join("stages");
        fs::create_dir(&work)?;
        let pass = stages::pass(root, &self.recipe, &work)?;
        anyhow::ensure!(
            (pass.chunks, pass.bytes) == (built.chunks, built.source_bytes),
            "the stages made {} chunks of {} bytes, the program {} of {}",
            pass.chunks,
            pass.bytes,
            built.chunks,
            built.source_bytes
        );
        for (samples, spent) in self.stages.iter_mut().zip(&pass.spent) {
            samples.push(spent.as_secs_f64());
        }
        let floor = floor::copy_rows(&pass.shard, &work.join("floor.db"))?;
        self.floor.push(floor.as_secs_f64());
        fs::remove_dir_all(&work)?;

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

    fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }

    /// MB of text per CPU-second.
    fn rate(&self, seconds: &Samples) -> Samples {
        seconds.map(|seconds| self.megabytes() / seconds)
    }

    /// CPU seconds that parsing and SQLite's floor take together.
    fn bound(&self) -> Samples {
        self.parse.plus(&self.floor)
    }

    fn stages_table(&self) -> Table {
        let title = format!(
            "Where the CPU time goes, `chunker = \"{}\"`, no models",
            self.name
        );
        let mut table = Table::new(title, &["stage", "ms per MB of text", "% of the build"]);
        let mut known = self.whole.map(|_| 0.0);
        for (name, spent) in STAGES.iter().zip(&self.stages) {
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

fn ratios(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "No models, MB of text per CPU-second",
        &[
            "chunker",
            "chunks",
            "build",
            "SQLite's floor",
            "tree-sitter",
            "both",
            "build / both",
            "wanted",
        ],
    );
    for one in measured {
        let bound = one.bound();
        let (parse, wanted) = match one.recipe.chunker {
            Chunker::Compat => (Cell::text("not used"), "0.35"),
            Chunker::Ast => (Cell::figure(&one.rate(&one.parse), 1), "0.5"),
        };
        table.row([
            Cell::text(one.name),
            Cell::text(one.chunks),
            Cell::figure(&one.rate(&one.whole), 2),
            Cell::figure(&one.rate(&one.floor), 1),
            parse,
            Cell::figure(&one.rate(&bound), 1),
            Cell::figure(&bound.over(&one.whole), 3),
            Cell::text(wanted),
        ]);
    }
    table
}
