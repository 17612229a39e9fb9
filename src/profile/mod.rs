//! What a build is asked to do: the folders, which of their files, and how they are treated.
//!
//! A profile is a TOML file. [`ProfileFile`] is what stands in it, [`Profile`] is what it means on
//! this machine: variables and globs expanded, folders found, labels unique. Reads the profile file
//! and looks at the root folders themselves; never at what lies in them, which is `scan`'s work,
//! and never at the environment, which the caller passes in.

pub mod encoders;
mod error;
mod expand;
mod find;
mod folders;
mod labels;
mod parse;
mod patterns;
pub mod recipe;
mod resolve;
mod roots;
mod rules;
mod suggest;

pub use error::ProfileError;
pub use find::{ProfileName, find_profile, list_profiles};
pub use labels::{slug, unique_labels};
pub use parse::{EncodersTable, ProfileFile, RootEntry, toml_message};
pub use patterns::{BadPattern, Patterns};
pub use roots::{KnownRoot, MissingRoot, Root};
pub use rules::{
    DEFAULT_EXTENSIONS, DEFAULT_SKIP_DIRS, DEFAULT_SKIP_NAMES, Limits, Rules, Secrets,
};

use crate::named_file;
use crate::platform;
use encoders::{Device, ModelSource, Precision};
use recipe::Recipe;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Looks an environment variable up. `None`: not set, or not Unicode.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A profile as it applies to this machine.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The file's name without `.toml`.
    pub name: String,
    pub description: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// The folders that exist, in declared order; those of one glob by the bytes of their paths.
    /// Never empty. No two have the same path or label.
    pub roots: Vec<Root>,
    /// Declared roots that were not found, in declared order.
    pub missing: Vec<MissingRoot>,
    pub rules: Rules,
    pub recipe: Recipe,
    pub sparse: ModelSource,
    pub dense: ModelSource,
    /// Of both kinds. `None`: the profile does not say.
    pub device: Option<DeviceSetting>,
    /// Of one kind; before `device`.
    pub sparse_device: Option<DeviceSetting>,
    pub dense_device: Option<DeviceSetting>,
    /// `None`: the profile does not say.
    pub precision: Option<Precision>,
    /// What stands in the file, to tell a default from a choice.
    pub typed: ProfileFile,
}

impl Profile {
    /// Reads and resolves the profile in `path`. Relative paths in it count from its folder.
    ///
    /// Fails when the file cannot be read or does not say what it must, and with
    /// [`ProfileError::NoRoots`] when none of its folders exists.
    pub fn load(path: &Path, env: Env<'_>) -> Result<Self, ProfileError> {
        let text = read(path).map_err(|source| ProfileError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::resolve(ProfileFile::parse(path, &text)?, path, &text, env)
    }

    /// Return the profile of one folder with the default rules, recipe and models, for programs without profile files. It is
    /// named for the folder, and the folder stands in for the file, so that two folders of one name do not replace each
    /// other's index.
    ///
    /// # Errors
    /// [`ProfileError::Read`] when there is no such folder.
    pub fn of_folder(path: &Path) -> Result<Self, ProfileError> {
        let root = Root::of_folder(path).map_err(|source| ProfileError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            name: root.label.clone(),
            description: String::new(),
            file: root.path.clone(),
            roots: vec![root],
            missing: Vec::new(),
            rules: Rules::default(),
            recipe: Recipe::default(),
            sparse: ModelSource::default(),
            dense: ModelSource::default(),
            device: None,
            sparse_device: None,
            dense_device: None,
            precision: None,
            typed: ProfileFile::default(),
        })
    }

    /// What `typed`, parsed from the `text` of the profile in `path`, means on this machine. Looks at
    /// the folders it names; fails as [`load`](Self::load) does.
    pub fn resolve(
        typed: ProfileFile,
        path: &Path,
        text: &str,
        env: Env<'_>,
    ) -> Result<Self, ProfileError> {
        resolve::resolve(typed, path, text, env)
    }

    /// Takes over what earlier builds of this profile know of its roots, so that those that are away keep their labels;
    /// see [`missing`](Self::missing).
    pub fn remember(&mut self, known: &[KnownRoot]) {
        roots::remember(&mut self.roots, &mut self.missing, known);
    }

    /// Makes a file that the build itself writes no input of it, wherever it lies.
    pub fn leave_out(&mut self, file: &Path) {
        let absolute = std::path::absolute(file).ok();
        let beside = absolute.as_deref().and_then(|file| {
            let folder = platform::real_path(file.parent()?).ok()?;
            Some(folder.join(file.file_name()?))
        });
        let behind = platform::real_path(file).ok();
        for path in [beside, behind].into_iter().flatten() {
            for root in &mut self.roots {
                root.outputs.extend(root.relative(&path));
            }
        }
    }

    /// The description in the profile file `path`, whether or not its folders exist.
    pub fn describe(path: &Path) -> Result<String, ProfileError> {
        let text = read(path).map_err(|source| ProfileError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(ProfileFile::parse(path, &text)?
            .description
            .unwrap_or_default())
    }
}

/// A device as written in a profile or flag: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSetting {
    /// CUDA when it works, otherwise the CPU.
    Auto,
    Fixed(Device),
}

/// A device name that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device: write auto, cpu, cuda or cuda:N")]
pub struct NoSuchDevice(pub String);

impl std::fmt::Display for DeviceSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(device) => device.fmt(f),
        }
    }
}

impl FromStr for DeviceSetting {
    type Err = NoSuchDevice;

    fn from_str(text: &str) -> Result<Self, NoSuchDevice> {
        let index = match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Fixed(Device::Cpu)),
            "cuda" => "0",
            other => other.strip_prefix("cuda:").unwrap_or(""),
        };
        match index.parse() {
            Ok(index) => Ok(Self::Fixed(Device::Cuda(index))),
            Err(_) => Err(NoSuchDevice(text.to_string())),
        }
    }
}

/// The text of a profile.
fn read(path: &Path) -> std::io::Result<String> {
    named_file::read_text(path, named_file::MOST_TEXT_BYTES)
}

#[cfg(test)]
mod tests;
