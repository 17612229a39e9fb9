//! A profile as it applies to this machine.

use super::device_setting::DeviceSetting;
use super::encoders::{ModelSource, Precision};
use super::parse::ProfileFile;
use super::recipe::Recipe;
use super::roots::{self, KnownRoot, MissingRoot, Root};
use super::rules::Rules;
use crate::platform;
use std::path::{Path, PathBuf};

/// A profile as it applies to this machine.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The file's name without `.toml`.
    pub name: String,
    pub description: String,
    /// The file that it was read from; without a file, the first of `folders`.
    pub file: PathBuf,
    /// The folders of a profile without a file, sorted. They stand in for the file: another set of folders is another profile.
    /// Empty if there is a file.
    pub folders: Vec<PathBuf>,
    /// The folders that exist, in declared order; those of one glob by the bytes of their paths. Never empty. Paths and labels
    /// are unique.
    pub roots: Vec<Root>,
    /// The declared roots that do not exist, in declared order.
    pub missing: Vec<MissingRoot>,
    pub rules: Rules,
    pub recipe: Recipe,
    pub sparse: ModelSource,
    pub dense: ModelSource,
    /// For both kinds. `None`: not set.
    pub device: Option<DeviceSetting>,
    /// For one kind; overrides `device`.
    pub sparse_device: Option<DeviceSetting>,
    pub dense_device: Option<DeviceSetting>,
    /// `None`: not set.
    pub precision: Option<Precision>,
    /// The file's content, to tell defaults from settings.
    pub typed: ProfileFile,
}

impl Profile {
    /// Let roots keep the labels that earlier builds of this profile gave them, even if they are missing now. Add the known
    /// roots that are gone to [`missing`](Self::missing).
    pub fn keep_labels(&mut self, known: &[KnownRoot]) {
        roots::keep_labels(&mut self.roots, &mut self.missing, known);
    }

    /// Exclude a file that the build itself writes from all roots.
    pub fn exclude_output(&mut self, file: &Path) {
        let absolute = std::path::absolute(file).ok();
        let beside = absolute.as_deref().and_then(|file| {
            let folder = platform::real_path(file.parent()?).ok()?;
            Some(folder.join(file.file_name()?))
        });
        let target = platform::real_path(file).ok();
        for path in [beside, target].into_iter().flatten() {
            for root in &mut self.roots {
                root.outputs.extend(root.relative(&path));
            }
        }
    }
}
