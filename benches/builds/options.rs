//! Parses the command line of the benchmark.

use anyhow::{Context as _, bail};
use helix_build::profile::encoders::ModelSource;
use std::path::PathBuf;

const USAGE: &str = "usage: cargo bench --bench build -- \
[--corpus DIR] [--quick] [--json FILE] [--models DIR] [--only no-models|models|encoders|workers|memory|queries]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    NoModels,
    Models,
    Encoders,
    Workers,
    Memory,
    Queries,
}

impl Section {
    const ALL: [(&'static str, Self); 6] = [
        ("no-models", Self::NoModels),
        ("models", Self::Models),
        ("encoders", Self::Encoders),
        ("workers", Self::Workers),
        ("memory", Self::Memory),
        ("queries", Self::Queries),
    ];
}

#[derive(Debug, Default)]
pub struct Options {
    /// A folder of texts to index instead of the crates' sources.
    pub corpus: Option<PathBuf>,
    /// One round with little text, to check that everything runs. Not for published figures.
    pub quick: bool,
    pub json: Option<PathBuf>,
    /// A folder with model directories from `tools/make_models.py`.
    pub models: Option<PathBuf>,
    only: Option<Section>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        while let Some(flag) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{flag} needs a value"))
            };
            match flag.as_str() {
                // Added by cargo.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--corpus" => options.corpus = Some(std::path::absolute(value()?)?),
                "--models" => options.models = Some(std::path::absolute(value()?)?),
                "--json" => options.json = Some(value()?.into()),
                "--only" => {
                    let name = value()?;
                    let known = Section::ALL.into_iter().find(|(known, _)| *known == name);
                    let (_, section) =
                        known.with_context(|| format!("no section {name}; {USAGE}"))?;
                    options.only = Some(section);
                }
                _ => bail!("{flag} is not a flag; {USAGE}"),
            }
        }
        Ok(options)
    }

    pub fn sections(&self) -> impl Iterator<Item = Section> {
        let only = self.only;
        let all = Section::ALL.into_iter().map(|(_, section)| section);
        all.filter(move |section| only.is_none_or(|only| only == *section))
    }

    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    /// Return the model of this name below `--models`, or print that it is missing.
    pub fn model(&self, name: &str) -> Option<ModelSource> {
        let folder = self.models.as_ref().map(|folder| folder.join(name));
        let found = folder.filter(|folder| folder.is_dir());
        if found.is_none() {
            println!("{name} is not measured: there is no such folder below --models DIR.\n");
        }
        found.map(ModelSource::Directory)
    }

    /// Return the bytes of text for a slow encoder; a quarter of them with `--quick`.
    pub fn share(&self, bytes: u64) -> u64 {
        if self.quick { bytes / 4 } else { bytes }
    }

    /// Return the number of rounds for measurements of a minute each.
    pub fn slow_rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// Return the bytes of text to select from the crates' sources.
    pub fn corpus_bytes(&self) -> u64 {
        if self.quick { 4_000_000 } else { 24_000_000 }
    }

    /// Return the bytes of text for a build with encoders, which takes seconds.
    pub fn encoded_bytes(&self) -> u64 {
        if self.quick { 500_000 } else { 8_000_000 }
    }
}
