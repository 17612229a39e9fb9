//! Profiles without a file: folders as they are, with the default rules, recipe and models.

use super::encoders::ModelSource;
use super::error::ProfileError;
use super::parse::ProfileFile;
use super::patterns::Patterns;
use super::recipe::Recipe;
use super::resolved::Profile;
use super::roots::{self, Root};
use super::rules::Rules;
use std::path::{Path, PathBuf};

/// What else to say about the folders of a profile without a file. The default says nothing.
#[derive(Clone, Debug, Default)]
pub struct FolderOptions {
    /// Name of the profile, a [`slug`](super::slug); `None`: the label of the first folder.
    pub name: Option<String>,
    /// Patterns as in profiles, for every folder. If not empty, only what matches is indexed.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl Profile {
    /// Return the profile of one folder with the default rules, recipe and models, for programs without profile files. It is
    /// named for the folder, and the folder stands in for the file, so that two folders of one name do not replace each
    /// other's index.
    ///
    /// # Errors
    /// [`ProfileError::Read`] if there is no such folder.
    pub fn of_folder(path: &Path) -> Result<Self, ProfileError> {
        Self::of_folders(&[path.to_path_buf()], &FolderOptions::default())
    }

    /// Return the profile of several folders, as [`Self::of_folder`] does for one. Files below two of the folders belong to
    /// the inner one.
    ///
    /// # Errors
    /// [`ProfileError::Read`] for a folder that does not exist, or if `paths` is empty; [`ProfileError::Repeated`] for one
    /// that is named twice; [`ProfileError::Pattern`].
    pub fn of_folders(paths: &[PathBuf], options: &FolderOptions) -> Result<Self, ProfileError> {
        let pattern = |list: &[String]| Patterns::compile(list.iter().map(String::as_str));
        let (include, exclude) = (pattern(&options.include)?, pattern(&options.exclude)?);
        let mut roots: Vec<Root> = Vec::new();
        for path in paths {
            let mut root = Root::of_folder(path).map_err(|source| ProfileError::Read {
                path: path.clone(),
                source,
            })?;
            if roots.iter().any(|other| other.path == root.path) {
                return Err(ProfileError::Repeated { path: path.clone() });
            }
            root.include = include.clone();
            root.exclude = exclude.clone();
            roots.push(root);
        }
        let Some(first) = roots.first() else {
            return Err(ProfileError::Read {
                path: PathBuf::new(),
                source: std::io::ErrorKind::NotFound.into(),
            });
        };
        let (name, file) = (first.label.clone(), first.path.clone());
        let mut folders: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
        folders.sort();
        roots::relate(&mut roots, &mut []);
        Ok(Self {
            name: options.name.clone().unwrap_or(name),
            description: String::new(),
            file,
            folders,
            roots,
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
}
