//! Runs the release program on a profile, and reads its summary.

use anyhow::Context as _;
use helix_build::report::RunSummary;
use serde::Deserialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Flags of a build without encoders.
pub const NO_MODELS: [&str; 4] = ["--sparse-model", "none", "--dense-model", "none"];

/// A profile to build, in a separate folder.
pub struct Build {
    folder: PathBuf,
}

/// The summary of a build.
#[derive(Debug, Deserialize)]
pub struct Built {
    pub content_digest: String,
    pub files: u64,
    pub chunks: u64,
    pub source_bytes: u64,
    #[serde(flatten)]
    pub run: RunSummary,
}

impl Build {
    /// Write a profile of `roots` into `folder`. `settings` are further lines.
    pub fn new(folder: PathBuf, roots: &[PathBuf], settings: &str) -> anyhow::Result<Self> {
        let roots: Vec<_> = roots
            .iter()
            .map(|root| toml::Value::from(root.to_string_lossy().as_ref()))
            .collect();
        let profile = format!("roots = {}\n{settings}\n", toml::Value::from(roots));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("bench.toml"), profile)?;
        Ok(Self { folder })
    }

    /// Build everything with `flags`.
    pub fn run(&self, flags: &[&str]) -> anyhow::Result<Built> {
        let child = self.start(flags)?;
        self.wait(child)
    }

    /// Start the program. Call [`Self::wait`] before starting it again.
    pub fn start(&self, flags: &[&str]) -> anyhow::Result<Child> {
        self.clear()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_helix-build"));
        command
            .args([
                "--profile",
                "bench.toml",
                "--out-dir",
                "out",
                "--json",
                "--progress",
                "none",
            ])
            .args(flags)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(File::create(self.folder.join("stdout"))?)
            .stderr(File::create(self.folder.join("stderr"))?);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("HELIX_BUILD_") || text == "SOURCE_DATE_EPOCH" {
                command.env_remove(&name);
            }
        }
        command.spawn().context("starting helix-build")
    }

    /// Build everything and keep the output, in the folder that is returned.
    pub fn keep(&self, flags: &[&str]) -> anyhow::Result<(Built, PathBuf)> {
        let child = self.start(flags)?;
        Ok((self.read_summary(child)?, self.folder.join("out")))
    }

    /// Wait for the build, then remove its output.
    pub fn wait(&self, child: Child) -> anyhow::Result<Built> {
        let built = self.read_summary(child)?;
        self.clear()?;
        Ok(built)
    }

    fn read_summary(&self, mut child: Child) -> anyhow::Result<Built> {
        let status = child.wait()?;
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        anyhow::ensure!(
            status.success(),
            "the build ended with {status}: {}",
            text("stderr")
        );
        let lines = text("stdout");
        let last = lines.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("reading {last}"))
    }

    fn clear(&self) -> anyhow::Result<()> {
        for name in ["out", "out-sharded"] {
            let folder: &Path = &self.folder.join(name);
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }
}
