//! Finds profiles by name.

use super::error::ProfileError;
use super::suggest::nearest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A profile with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileName {
    pub name: String,
    pub file: PathBuf,
}

/// List the profiles (`*.toml`) in `folders`, sorted by name. Of two with the same name, the one in the earlier folder
/// counts. Folders that cannot be listed are skipped.
pub fn list_profiles(folders: &[PathBuf]) -> Vec<ProfileName> {
    let mut files = BTreeMap::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for file in entries.flatten().map(|entry| entry.path()) {
            let is_profile = file
                .extension()
                .is_some_and(|extension| extension == "toml");
            let name = file.file_stem().and_then(|stem| stem.to_str());
            if let (true, Some(name), true) = (is_profile, name, file.is_file()) {
                files.entry(name.to_string()).or_insert(file);
            }
        }
    }
    files
        .into_iter()
        .map(|(name, file)| ProfileName { name, file })
        .collect()
}

/// Return the file of the profile `name`: a path that ends in `.toml` as it is, else `name.toml` in the first of `folders`
/// that has it.
pub fn find_profile(name: &str, folders: &[PathBuf]) -> Result<PathBuf, ProfileError> {
    if name.ends_with(".toml") {
        return Ok(Path::new(name).to_path_buf());
    }
    let known = list_profiles(folders);
    if let Some(found) = known.iter().find(|profile| profile.name == name) {
        return Ok(found.file.clone());
    }
    let known: Vec<String> = known.into_iter().map(|profile| profile.name).collect();
    Err(ProfileError::NotFound {
        name: name.to_string(),
        suggestion: nearest(name, known.iter().map(String::as_str)).map(Into::into),
        known,
    })
}
