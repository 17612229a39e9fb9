//! The bench's own command line.

use anyhow::{Context as _, bail};
use helix_build::profile::encoders::ModelSource;
use std::path::PathBuf;

const USAGE: &str = "usage: cargo bench --bench build -- \
[--corpus DIR] [--quick] [--json FILE] [--models DIR] [--only no-models|models|encoders|workers|memory]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    NoModels,
    Models,
    Encoders,
    Workers,
    Memory,
}

impl Section {
    const ALL: [(&'static str, Self); 5] = [
        ("no-models", Self::NoModels),
        ("models", Self::Models),
        ("encoders", Self::Encoders),
        ("workers", Self::Workers),
        ("memory", Self::Memory),
    ];
}

#[derive(Debug, Default)]
pub struct Options {
    /// A folder of texts in place of the crates' sources.
    pub corpus: Option<PathBuf>,
    /// One round, little text: shows that everything runs, no figure to quote.
    pub quick: bool,
    pub json: Option<PathBuf>,
    /// A folder with model directories, as `tools/make_models.py` writes them.
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
                _ => bail!("{flag} is no flag; {USAGE}"),
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

    /// The model of this name below `--models`; says so when it is not there.
    pub fn model(&self, name: &str) -> Option<ModelSource> {
        let folder = self.models.as_ref().map(|folder| folder.join(name));
        let found = folder.filter(|folder| folder.is_dir());
        if found.is_none() {
            println!("{name} is not measured: there is no such folder below --models DIR.\n");
        }
        found.map(ModelSource::Directory)
    }

    /// Bytes of text for a slow encoder, of which a quick look takes a quarter.
    pub fn share(&self, bytes: u64) -> u64 {
        if self.quick { bytes / 4 } else { bytes }
    }

    /// Rounds of what takes a minute each.
    pub fn slow_rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// Bytes of text to select from the crates' sources.
    pub fn corpus_bytes(&self) -> u64 {
        if self.quick { 4_000_000 } else { 24_000_000 }
    }

    /// Bytes of text that are encoded in a build: seconds, where all of it would take minutes.
    pub fn encoded_bytes(&self) -> u64 {
        if self.quick { 500_000 } else { 8_000_000 }
    }
}
